/** The tables of a run store, the same text for every SQLite. A change of a table makes a new version. */
import type { Database } from "./database.ts";

export const STORE_VERSION = 1;
/** "Etal": tells a store from other SQLite files. */
const APPLICATION = 0x4574616c;

const TABLES = `
-- Anything else, as JSON by name: versions, model hashes, notes.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);

-- place: the order in which problems were added, which is the order of everything that belongs to them.
CREATE TABLE problems (id TEXT PRIMARY KEY, place INTEGER NOT NULL UNIQUE, dataset TEXT NOT NULL, body BLOB NOT NULL);

-- What a program did, without the clock and without its name; the same result is kept once, by the hash of its content.
CREATE TABLE results (
  hash TEXT PRIMARY KEY, verdict TEXT NOT NULL, passed INTEGER NOT NULL,
  tests_passed INTEGER NOT NULL, tests_total INTEGER NOT NULL, body BLOB NOT NULL
);

-- sampling: options and model of a whole set, as JSON; null until they are known.
CREATE TABLE sets (name TEXT PRIMARY KEY, place INTEGER NOT NULL UNIQUE, sampling TEXT);

-- completion: a JSON text. tokens: u32, little endian. program_key: of the normalised program; equal ones are duplicates.
-- logprob: sum over the completion's tokens under the model that was sampled, NULL where nobody asked.
CREATE TABLE samples (
  set_name TEXT NOT NULL REFERENCES sets (name), problem TEXT NOT NULL REFERENCES problems (id), number INTEGER NOT NULL,
  hash TEXT NOT NULL, completion TEXT NOT NULL, tokens BLOB NOT NULL, finished INTEGER NOT NULL,
  result TEXT NOT NULL REFERENCES results (hash), result_id TEXT NOT NULL, elapsed_ms REAL NOT NULL,
  program_key TEXT, agreement TEXT, logprob REAL, extra TEXT,
  PRIMARY KEY (set_name, problem, number)
);

CREATE TABLE pairs (
  set_name TEXT NOT NULL, place INTEGER NOT NULL, hash TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (set_name, hash)
);

CREATE TABLE metrics (stage TEXT NOT NULL, step INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (stage, step));

-- Results of programs that were run before; key: see programKey in src/recipes/judge.ts.
CREATE TABLE cache (key TEXT PRIMARY KEY, result TEXT NOT NULL REFERENCES results (hash));
`;

/**
 * Makes the tables in an empty file; in any other, checks that they are the ones known here. Errors name the path and
 * both versions: `Cannot open runs/a/store.sqlite: its tables have version 2, this program knows version 1; ...`
 */
export async function prepareTables(database: Database, path: string): Promise<void> {
  await database.transaction(async () => { // two openers of a new file: one of them makes it
    const value = async (pragma: string) =>
      Object.values((await database.all<Record<string, number>>(`PRAGMA ${pragma}`))[0])[0];
    const [{ tables }] = await database.all<{ tables: number }>("SELECT count(*) AS tables FROM sqlite_master");
    if (tables === 0) {
      const text = TABLES.replace(/^--.*\n/gm, "");
      for (const statement of text.split(";\n").filter((part) => part.trim() !== "")) await database.run(statement);
      await database.run(`PRAGMA application_id = ${APPLICATION}`);
      await database.run(`PRAGMA user_version = ${STORE_VERSION}`);
      return;
    }
    if (await value("application_id") !== APPLICATION) {
      throw new Error(`Cannot open ${path}: it is a SQLite file, but no store of this program`);
    }
    const version = await value("user_version");
    if (version === STORE_VERSION) return;
    const way = version > STORE_VERSION ? "use the newer program" : "export it with the program that wrote it";
    throw new Error(
      `Cannot open ${path}: its tables have version ${version}, this program knows version ${STORE_VERSION}; ${way}`,
    );
  });
}
