/* The single file: this program, then a tree as .tar.xz, then a trailer (see onefile.py).
 *
 * The first start unpacks the tree into a directory that is named by its digest; each start runs the
 * program in there, so that the service's own helpers, which run the tree's Python, find it unpacked.
 * What cleans temporary directories may have removed a part of it: then it is unpacked again.
 */

#define _GNU_SOURCE
#include <dirent.h>
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
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BLOCK 512
#define PROGRAM "/toolbox/bin/toolbox"
#define WORK ".unpack-"
#define UNMAPPED 65534 /* The user of what is not in this user namespace (user_namespaces(7)). */

/* Numbers are in this machine's order: all that are supported are little-endian. */
struct trailer {
	char magic[8];
	uint64_t offset, size, files, bytes;
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
	/* The sticky bit of a file tells systemd-tmpfiles to leave it alone, however old it is. */
	return (fchmod(to, mode | S_ISVTX) && fchmod(to, mode)) | close(to);
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

/* Count the files below a directory, which is closed, and their bytes. */
static void count(int directory, uint64_t *files, uint64_t *bytes)
{
	DIR *stream = fdopendir(directory);
	struct dirent *entry;
	struct stat status;

	if (!stream) {
		close(directory);
		return;
	}
	while ((entry = readdir(stream))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW))
			continue;
		if (S_ISDIR(status.st_mode)) {
			int below = openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			if (below >= 0)
				count(below, files, bytes);
		} else if (S_ISREG(status.st_mode))
			++*files, *bytes += status.st_size;
	}
	closedir(stream);
}

/* Report whether all of the tree is there. */
static int is_whole(const char *target)
{
	uint64_t files = 0, bytes = 0;
	int directory = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (directory < 0)
		return 0;
	count(directory, &files, &bytes);
	return files == trailer.files && bytes == trailer.bytes;
}

static void remove_tree(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Remove what starts have left that were killed. */
static void remove_leftovers(const char *directory)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;
	char path[PATH_MAX];

	while (stream && (entry = readdir(stream)))
		if (!strncmp(entry->d_name, WORK, sizeof WORK - 1)) {
			snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
			remove_tree(path);
		}
	if (stream)
		closedir(stream);
}

/* Move a tree to its place; what was there before, and is not whole, goes to another name. */
static int put(const char *work, const char *target, const char *old)
{
	if (!rename(work, target) || is_whole(target))
		return 0;
	return rename(target, old) || rename(work, target);
}

/* Unpack the tree beside its place, and then move it there. */
static int unpack(const char *directory, const char *target)
{
	char work[PATH_MAX], old[PATH_MAX + 8];
	int failed, error, place;

	snprintf(work, sizeof work, "%s/" WORK "XXXXXX", directory);
	if (!mkdtemp(work))
		return -1;
	snprintf(old, sizeof old, "%s-old", work);
	failed = take_tree(work);
	/* After a loss of power files may be empty that were not written out before the name was. */
	if (!failed && (place = open(work, O_RDONLY | O_CLOEXEC)) >= 0)
		failed = syncfs(place) | close(place);
	failed = failed || put(work, target, old);
	error = errno;
	lzma_end(&stream);
	remove_tree(work);
	remove_tree(old);
	return errno = error, failed ? -1 : 0;
}

/* Have a whole tree in its place, whoever unpacks it: one start does, and others wait for it. */
static int provide(const char *directory, const char *target)
{
	int failed = 0, lock, error;

	if (is_whole(target))
		return 0;
	lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Without locks, as on some network file systems, nobody knows what is left over. */
	if (lock >= 0 && !flock(lock, LOCK_EX)) {
		if (is_whole(target))
			return close(lock);
		remove_leftovers(directory);
	}
	failed = unpack(directory, target);
	error = errno;
	close(lock);
	return errno = error, failed;
}

/* Report whether anybody else could put another directory in this one's place: by owning one above
 * it, or by being allowed to rename in there. The path has no links.
 */
static int is_exposed(const char *directory)
{
	char path[PATH_MAX];
	struct stat status;

	snprintf(path, sizeof path, "%s", directory);
	while (path[1]) {
		char *end = strrchr(path, '/');

		end[end == path] = 0;
		if (lstat(path, &status))
			return 1;
		if (status.st_uid && status.st_uid != geteuid() && status.st_uid != UNMAPPED)
			return 1;
		if (status.st_mode & S_IWOTH && !(status.st_mode & S_ISVTX))
			return 1;
	}
	return 0;
}

/* Run the program in this directory, where it is unpacked if it is not there. */
static int run_in(const char *given, char **argv)
{
	struct stat status;
	struct statvfs system;
	char directory[PATH_MAX], target[PATH_MAX + 64], program[PATH_MAX + 128];

	if (make_directories(given) || lstat(given, &status))
		return refuse(given, strerror(errno));
	/* A link, too, must be the user's own: it says what runs. */
	if (S_ISLNK(status.st_mode) && status.st_uid != geteuid())
		return refuse(given, "a link of another user");
	if (!realpath(given, directory) || lstat(directory, &status) || statvfs(directory, &system))
		return refuse(given, strerror(errno));
	/* Between directories in the loader's list. */
	if (strpbrk(directory, ":\n"))
		return refuse(given, "its path has a colon or a line end");
	/* What runs here is what is in there. */
	if (status.st_uid != geteuid() || status.st_mode & (S_IWGRP | S_IWOTH))
		return refuse(given, "others may write to it");
	if (is_exposed(directory))
		return refuse(given, "others may replace it");
	if (system.f_flag & ST_NOEXEC)
		return refuse(given, "programs may not run there (mounted noexec)");
	snprintf(target, sizeof target, "%s/toolbox-%.40s", directory, trailer.digest);
	snprintf(program, sizeof program, "%s" PROGRAM, target);
	if (provide(directory, target))
		return refuse(given, strerror(errno));
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
