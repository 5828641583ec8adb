/* Start the Python of the tree that this program is in: python3, or toolbox with PROGRAM defined.
 *
 * The tree's own loader is started, not the image's, so that it works with any libc or none. What
 * the image sets for its own programs stays in the environment, for them, and out of ours:
 * LD_LIBRARY_PATH and LD_PRELOAD by the loader's options, PYTHON* variables by Python's -I.
 */

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static char self[PATH_MAX], loader[PATH_MAX], library[PATH_MAX], python[PATH_MAX], program[PATH_MAX];

static int fail(const char *what)
{
	fprintf(stderr, "toolbox: ");
	perror(what);
	return 127;
}

int main(int argc, char **argv)
{
	char *started = (char *)getauxval(AT_EXECFN);
	char **args = malloc((argc + 16) * sizeof *args);
	int n = 0, i;

	/* The kernel's word first: what the program was started as may be relative, or a descriptor. */
	if (!args || (!realpath("/proc/self/exe", self) && !realpath(started, self)))
		return fail("where am I");
	for (i = 0; i < 2; i++)
		*strrchr(self, '/') = 0;
	/* Between directories; there is no way to quote them. */
	if (strpbrk(self, ":\n")) {
		fprintf(stderr, "toolbox: the path of this directory has a colon or a line end: %s\n", self);
		return 127;
	}
	if (snprintf(program, PATH_MAX, "%s/bin/python3", self) >= PATH_MAX - 16) {
		fprintf(stderr, "toolbox: the path of this directory is too long: %s\n", self);
		return 127;
	}
	snprintf(loader, PATH_MAX, "%s/lib/toolbox", self);
	snprintf(library, PATH_MAX, "%s/lib", self);
	snprintf(python, PATH_MAX, "%s/lib/python", self);

	args[n++] = loader;
	args[n++] = "--library-path";
	args[n++] = library;
	args[n++] = "--preload";
	args[n++] = "";
	args[n++] = "--argv0";
	args[n++] = program;
	args[n++] = "--";
	args[n++] = python;
	/* An upgrade starts the program again with the arguments that Python had. */
	if (argc < 2 || strcmp(argv[1], "-I"))
		args[n++] = "-I";
#ifdef PROGRAM
	args[n++] = "-m";
	args[n++] = "toolbox";
#endif
	for (i = 1; i < argc; i++)
		args[n++] = argv[i];
	args[n] = 0;
	execv(loader, args);
	return fail(loader);
}
