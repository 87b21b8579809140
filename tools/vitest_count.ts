// Counts a vitest run for itself. vitest's own totals say "0 failed" when a file does not load, when a worker process
// dies, when a rejection goes unhandled and when nothing ran at all.

/** What is read of vitest's `--reporter=json` file. */
export interface VitestReport {
  testResults: { name: string; status: string; message?: string; assertionResults: { status: string }[] }[];
}

export interface Count {
  passed: number;
  failed: number;
  skipped: number;
  /** One line for each failure that is no failed assertion. */
  reasons: string[];
}

/**
 * Failures are: failed tests; tests of a failed file that never ran; a failed file without a single failed or pending
 * test (it did not load); an exit code other than 0 with nothing failed (an unhandled error, a dead process); a run
 * without one finished test; a run that wrote no report (`report` null).
 */
export function countVitest(report: VitestReport | null, exitCode: number): Count {
  const count: Count = { passed: 0, failed: 0, skipped: 0, reasons: [] };
  const fail = (reason: string) => {
    count.failed++;
    count.reasons.push(reason);
  };
  for (const file of report?.testResults ?? []) {
    const of = (...states: string[]) => file.assertionResults.filter((test) => states.includes(test.status)).length;
    const failedFile = file.status !== "passed";
    const unfinished = file.assertionResults.length - of("passed", "failed");
    const failed = of("failed") + (failedFile ? unfinished : 0);
    count.passed += of("passed");
    count.failed += failed;
    if (!failedFile) count.skipped += unfinished;
    if (failedFile && failed === 0) fail(`${file.name} failed: ${file.message || "it did not load"}`);
  }
  if (report === null) fail(`the run wrote no report and ended with exit code ${exitCode}`);
  else if (count.passed + count.failed === 0) fail("no test ran");
  else if (exitCode !== 0 && count.failed === 0) {
    fail(`every test passed, yet the run ended with exit code ${exitCode}: an unhandled error or a dead process`);
  }
  return count;
}
