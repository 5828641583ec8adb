// Preloaded before a program. Node writes to pipes when it finds the time, and process.exit() drops
// what is left: make it write at once, as it does to files.
for (const stream of [process.stdout, process.stderr]) {
  if (stream._handle && stream._handle.setBlocking) stream._handle.setBlocking(true);
}
// A program that is read from the standard input sees [node, ...arguments], without the "-" between.
if (process.argv[1] === '-') process.argv.splice(1, 1);
