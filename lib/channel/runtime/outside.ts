import { AsyncResource } from 'node:async_hooks';

const loading = new AsyncResource('millrace');

/**
 * For what is made once for all of a thread, when somebody needs it first: it shall not go on in the asynchronous context
 * of that somebody, who may be a request among many.
 */
export function outside<T>(make: () => T): T {
  return loading.runInAsyncScope(make);
}
