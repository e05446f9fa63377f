/** Hears of the exceptions that nobody caught, which would fail the test else, until it is disposed of. */
export class Caught {
  readonly errors: unknown[] = [];
  readonly #others = process.rawListeners('uncaughtException') as NodeJS.UncaughtExceptionListener[];
  #wake = () => {};

  constructor() {
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => {
      this.errors.push(error);
      this.#wake();
    });
  }

  /** The first one, once it is there. */
  async first(): Promise<unknown> {
    while (this.errors.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.errors[0];
  }

  [Symbol.dispose](): void {
    process.removeAllListeners('uncaughtException');
    for (const listener of this.#others) process.on('uncaughtException', listener);
  }
}
