/** A log has no end of its own: this record says that no command follows. */
export const LAST = Buffer.alloc(0);
