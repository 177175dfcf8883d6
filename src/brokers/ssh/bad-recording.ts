/** What is wrong with a recording's bytes: they were not written by a broker, or were changed. */
export class BadRecording extends Error {
  override readonly name = 'BadRecording';
}
