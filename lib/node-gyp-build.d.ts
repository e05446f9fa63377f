declare module 'node-gyp-build' {
  /** Finds the addon under the package's root (build/Release, then prebuilds) and loads it. */
  export default function load(packageRoot: string): unknown;
}
