import { runInChildren } from './in-children.js';

export function runMutations(options) {
  return runInChildren('./mutations-child.js', options);
}
