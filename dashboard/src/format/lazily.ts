/** Made at the first use: a formatter of the browser takes some milliseconds, and the first page needs two of eight. */
export function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
