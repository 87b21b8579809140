// The file system of an interpreter lives in JavaScript, outside the heap that is rewound. It is made such that programs
// can change little of it, and that little is put back after each.

/** The parts of Emscripten's FS used here. */
export interface EmscriptenFs {
  ignorePermissions: boolean;
  currentPath: string;
  nextInode: number;
  streams: (FsStream | null)[];
  writeFile(path: string, data: string | Uint8Array): void;
  readFile(path: string, options: { encoding: "utf8" }): string;
  mkdirTree(path: string): void;
  chmod(path: string, mode: number): void;
  readdir(path: string): string[];
  lookupPath(path: string): { node: FsNode };
  lstat(path: string): { mode: number };
  isDir(mode: number): boolean;
  isFile(mode: number): boolean;
  unlink(path: string): void;
  rmdir(path: string): void;
  close(stream: unknown): void;
}
interface FsNode {
  mode: number;
  atime: number;
  mtime: number;
  ctime: number;
}
interface FsStream {
  fd: number;
  position: number;
  shared: Record<string, unknown>;
  tty?: { output: number[] };
}

export interface Files {
  /** Everything as it was when the files were closed. */
  restore(): void;
  /** Whether `bytes` more at the descriptor's position make no file longer than `limit`. */
  fits(fd: number, bytes: number, limit: number): boolean;
}

/** From now on only /tmp can be changed, and time stands still at `epochMs`. */
export function closeFiles(FS: EmscriptenFs, epochMs: number): Files {
  FS.mkdirTree("/run");
  FS.mkdirTree("/tmp");
  // Real random bytes would make no two runs the same; os.urandom has its own, seeded way.
  for (const path of ["/dev/random", "/dev/urandom"]) FS.unlink(path);
  const nodes = freeze(FS, "/");
  FS.chmod("/tmp", 0o777);
  Date.now = () => epochMs; // what Emscripten stamps files with
  for (const node of nodes) node.atime = node.mtime = node.ctime = epochMs;
  const kept = nodes.map((node) => ({ node, mode: node.mode }));
  const streams = FS.streams.slice(0, 3).map((stream) => ({
    stream: stream!,
    position: stream!.position,
    shared: { ...stream!.shared },
  }));
  const { nextInode, currentPath } = FS;

  return {
    restore() {
      FS.ignorePermissions = true;
      const standard = new Set<FsStream | null>(streams.map(({ stream }) => stream));
      for (const stream of FS.streams) if (stream && !standard.has(stream)) FS.close(stream);
      FS.streams.length = 0;
      for (const { stream, position, shared } of streams) {
        stream.fd = FS.streams.push(stream) - 1;
        Object.assign(stream.shared, shared);
        stream.position = position;
        if (stream.tty) stream.tty.output = [];
      }
      clear(FS, "/tmp");
      for (const { node, mode } of kept) {
        node.mode = mode;
        node.atime = node.mtime = node.ctime = epochMs;
      }
      FS.nextInode = nextInode;
      FS.currentPath = currentPath;
    },
    fits(fd, bytes, limit) {
      return (FS.streams[fd]?.position ?? 0) + bytes <= limit;
    },
  };
}

/** Nothing can be changed, made or removed; devices can still be read and written. Gives back all nodes. */
function freeze(FS: EmscriptenFs, path: string): FsNode[] {
  const nodes = [FS.lookupPath(path).node];
  for (const name of FS.readdir(path)) {
    const child = path === "/" ? `/${name}` : `${path}/${name}`;
    // The files of /proc/self/fd are made up anew at each look.
    if (name === "." || name === ".." || child === "/proc/self/fd") continue;
    const { mode } = FS.lstat(child);
    if (FS.isDir(mode)) nodes.push(...freeze(FS, child));
    else if (FS.isFile(mode)) {
      FS.chmod(child, 0o444);
      nodes.push(FS.lookupPath(child).node);
    }
  }
  FS.chmod(path, 0o555);
  return nodes;
}

function clear(FS: EmscriptenFs, path: string) {
  for (const name of FS.readdir(path)) {
    if (name === "." || name === "..") continue;
    const child = `${path}/${name}`;
    if (FS.isDir(FS.lstat(child).mode)) {
      clear(FS, child);
      FS.rmdir(child);
    } else FS.unlink(child);
  }
}
