// Preloaded before a program that node reads from its standard input: the program sees
// [node, ...arguments], without the "-" between.
if (process.argv[1] === '-') process.argv.splice(1, 1);
