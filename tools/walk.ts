import { readdirSync, statSync } from "node:fs";

/** Every file under `folders` (those that exist) whose name ends in `ending`, as sorted paths with forward slashes. */
export function walk(folders: string[], ending: string): string[] {
  return folders.flatMap((folder) => filesUnder(folder)).filter((path) => path.endsWith(ending)).sort();
}

function filesUnder(folder: string): string[] {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}
