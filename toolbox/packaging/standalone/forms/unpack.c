/* The single file: this program, then a tree as .tar.xz, then a trailer (see onefile.py).
 *
 * The first start unpacks the tree into a directory that is named by its digest; each start runs the
 * program in there, so that the service's own helpers, which run the tree's Python, find it unpacked.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <lzma.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BLOCK 512
#define PROGRAM "/toolbox/bin/toolbox"

/* Numbers are in this machine's order: all that are supported are little-endian. */
struct trailer {
	char magic[8];
	uint64_t offset, size;
	char digest[40];
};

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
	char magic[8], user[32], group[32], device[16], prefix[155], padding[12];
};

static struct trailer trailer;
static int file, ended;
static uint64_t left;
static lzma_stream stream = LZMA_STREAM_INIT;
static uint8_t input[1 << 16];
static char reasons[8 * PATH_MAX];

/* Note why a directory won't do: said only if none will. */
static int refuse(const char *directory, const char *reason)
{
	size_t used = strlen(reasons);

	snprintf(reasons + used, sizeof reasons - used, "  %s: %s\n", directory, reason);
	return -1;
}

/* Read this much of the unpacked archive, or report that it can't be read. */
static int take(void *to, size_t size)
{
	stream.next_out = to;
	stream.avail_out = size;
	while (stream.avail_out) {
		lzma_ret result;

		if (!stream.avail_in && left) {
			ssize_t n = read(file, input, left < sizeof input ? left : sizeof input);

			if (n <= 0)
				return errno = n ? errno : EIO, -1;
			stream.next_in = input;
			stream.avail_in = n;
			left -= n;
		}
		result = lzma_code(&stream, left ? LZMA_RUN : LZMA_FINISH);
		ended = result == LZMA_STREAM_END;
		if (result != LZMA_OK && (!ended || stream.avail_out))
			return errno = result == LZMA_MEM_ERROR ? ENOMEM : EIO, -1;
	}
	return 0;
}

static int take_file(const char *path, uint64_t size, mode_t mode)
{
	static char data[1 << 16];
	int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (to < 0)
		return -1;
	/* Files fill whole blocks. */
	for (uint64_t rest = (size + BLOCK - 1) / BLOCK * BLOCK; rest;) {
		size_t n = rest < sizeof data ? rest : sizeof data, kept = size < n ? size : n;

		if (take(data, n))
			return close(to), -1;
		for (size_t done = 0; done < kept;) {
			ssize_t written = write(to, data + done, kept - done);

			if (written < 0)
				return close(to), -1;
			done += written;
		}
		rest -= n;
		size -= kept;
	}
	return fchmod(to, mode) | close(to);
}

static int take_tree(const char *directory)
{
	struct header header;
	char path[PATH_MAX];

	if (lzma_stream_decoder(&stream, UINT64_MAX, 0) != LZMA_OK)
		return errno = ENOMEM, -1;
	if (lseek(file, trailer.offset, SEEK_SET) < 0)
		return -1;
	left = trailer.size;
	for (;;) {
		mode_t mode;
		int failed;

		if (take(&header, sizeof header))
			return -1;
		if (!header.name[0])
			break;
		mode = strtoul(header.mode, NULL, 8);
		snprintf(path, sizeof path, "%s/%.155s%s%.100s", directory, header.prefix,
			 header.prefix[0] ? "/" : "", header.name);
		if (header.type == '5')
			failed = mkdir(path, mode) || chmod(path, mode);
		else if (header.type == '2')
			failed = symlink(header.link, path);
		else
			failed = take_file(path, strtoull(header.size, NULL, 8), mode);
		if (failed)
			return -1;
	}
	/* The checksum comes last. */
	while (!ended)
		if (take(&header, sizeof header))
			return -1;
	return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
	(void)status, (void)type, (void)position;
	return remove(path);
}

static int make_directories(const char *path)
{
	char part[PATH_MAX];

	snprintf(part, sizeof part, "%s", path);
	for (char *end = part + 1; (end = strchr(end, '/')); end++) {
		*end = 0;
		if (mkdir(part, 0700) && access(part, F_OK))
			return -1;
		*end = '/';
	}
	return mkdir(part, 0700) && errno != EEXIST ? -1 : 0;
}

/* Unpack the tree beside its place, and then move it there: one that is there is whole. */
static int unpack(const char *directory, const char *target)
{
	char work[PATH_MAX];
	int failed, error;

	snprintf(work, sizeof work, "%s/.unpack-XXXXXX", directory);
	if (!mkdtemp(work))
		return -1;
	failed = take_tree(work);
	error = errno;
	/* Another start may have been first. */
	if (!failed && rename(work, target) && access(target, F_OK))
		failed = 1, error = errno;
	lzma_end(&stream);
	nftw(work, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return errno = error, failed ? -1 : 0;
}

/* Run the program in this directory, where it is unpacked if it is not there. */
static int run_in(const char *directory, char **argv)
{
	struct stat status;
	struct statvfs system;
	char target[PATH_MAX], program[PATH_MAX + sizeof PROGRAM];

	snprintf(target, sizeof target, "%s/toolbox-%.40s", directory, trailer.digest);
	snprintf(program, sizeof program, "%s" PROGRAM, target);
	if (make_directories(directory) || stat(directory, &status) || statvfs(directory, &system))
		return refuse(directory, strerror(errno));
	/* What runs here is what is in there. */
	if (status.st_uid != geteuid() || status.st_mode & (S_IWGRP | S_IWOTH))
		return refuse(directory, "others may write to it");
	if (system.f_flag & ST_NOEXEC)
		return refuse(directory, "programs may not run there (mounted noexec)");
	if (access(program, X_OK) && unpack(directory, target))
		return refuse(directory, strerror(errno));
	execv(program, argv);
	return refuse(program, strerror(errno));
}

static int run(char **argv, const char *format, ...)
{
	char directory[PATH_MAX / 2];
	va_list values;

	va_start(values, format);
	vsnprintf(directory, sizeof directory, format, values);
	va_end(values);
	/* A relative path would be another after cd. */
	return directory[0] == '/' ? run_in(directory, argv) : refuse(directory, "not an absolute path");
}

int main(int argc, char **argv)
{
	const char *given = getenv("TOOLBOX_UNPACK"), *cache = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");

	(void)argc;
	file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		file = open((char *)getauxval(AT_EXECFN), O_RDONLY | O_CLOEXEC);
	if (file < 0 || lseek(file, -(off_t)sizeof trailer, SEEK_END) < 0 ||
	    read(file, &trailer, sizeof trailer) != sizeof trailer ||
	    memcmp(trailer.magic, "TOOLBOX\n", sizeof trailer.magic)) {
		fprintf(stderr, "toolbox: this file can't be read, or not all of it is here\n");
		return 127;
	}
	if (given && *given)
		run(argv, "%s", given);
	else {
		if (cache && *cache)
			run(argv, "%s/toolbox", cache);
		else if (home && *home)
			run(argv, "%s/.cache/toolbox", home);
		run(argv, "/var/tmp/toolbox-%u", (unsigned)geteuid());
		run(argv, "/tmp/toolbox-%u", (unsigned)geteuid());
	}
	fprintf(stderr, "toolbox: there is no directory to unpack this file into:\n%s", reasons);
	fprintf(stderr, "TOOLBOX_UNPACK names another.\n");
	return 127;
}
