// Preloaded into a process, it counts the calls that open or change files below one folder, writes
// them to a log, and lets one of them fail.
//
// A line of the log is "NAME FD OFFSET FLAGS SIZE SIZE", followed by that many bytes twice: a path
// or data, and a second path. See oplog.py.
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)
#define FDS 4096

enum how { NEVER, ONCE, STAYS, SHORT, DIES };

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static int log_fd = -1;
static long calls, fail_at;
static enum how how;
static int fault;
static int noted;  // whether the log has the call that was counted last
static char tracked[FDS];  // whether a descriptor is of a file below root
static char appends[FDS];

// Start: fail call number `at`, from 1 on, in this way with this errno. log: "" for none.
void faults_arm(const char *folder, const char *log, long at, int way, int error) {
    calls = 0;
    fail_at = at;
    how = way;
    fault = error;
    memset(tracked, 0, sizeof tracked);
    if (*log) log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    snprintf(root, sizeof root, "%s", folder);
}

static int of_interest(int fd) { return *root && fd >= 0 && fd < FDS && tracked[fd]; }

// Make a path absolute. Returns whether it is below root.
static int below_root(int dir, const char *path, char *out) {
    char base[PATH_MAX] = "";
    if (!*root || !path) return 0;
    if (path[0] != '/') {
        if (dir == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
            ssize_t size = readlink(link, base, sizeof base - 1);
            if (size < 0) return 0;
            base[size] = 0;
        }
        strcat(base, "/");
    }
    if (strlen(base) + strlen(path) >= PATH_MAX) return 0;
    strcpy(out, base);
    strcat(out, path);
    size_t length = strlen(root);
    return !strncmp(out, root, length) && (out[length] == '/' || !out[length]);
}

static void put(const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    for (const char *at = data; size;) {
        ssize_t done = real(log_fd, at, size);
        if (done <= 0) _exit(98);
        at += done;
        size -= (size_t)done;
    }
}

static void note(const char *name, int fd, long offset, long flags, const void *data, size_t size,
                 const char *second) {
    char head[128];
    noted = 1;
    if (log_fd < 0) return;
    size_t more = second ? strlen(second) : 0;
    int length = snprintf(head, sizeof head, "%s %d %ld %ld %zu %zu\n", name, fd, offset, flags,
                          size, more);
    put(head, (size_t)length);
    put(data, size);
    put(second, more);
}

// Count a call. Returns whether it fails. room: whether it can find the disk full.
static int fails(int room) {
    calls++;
    noted = 0;
    if (how == DIES && calls == fail_at) kill(getpid(), SIGKILL);
    int now = (how == ONCE && calls == fail_at) || (how == STAYS && calls >= fail_at);
    if (!now || (fault == ENOSPC && !room)) return 0;
    errno = fault;
    return 1;
}

#define LOCK pthread_mutex_lock(&one_at_a_time)
#define UNLOCK(value) \
    do { \
        int kept = errno; \
        if (!noted) note("failed", -1, 0, 0, NULL, 0, NULL); \
        pthread_mutex_unlock(&one_at_a_time); \
        errno = kept; \
        return value; \
    } while (0)

static int opened(int dir, const char *path, int flags, mode_t mode) {
    REAL(int, "openat64", int, const char *, int, ...);
    char whole[PATH_MAX];
    if (!below_root(dir, path, whole)) return real(dir, path, flags, mode);
    LOCK;
    struct stat before;
    int made = flags & O_CREAT && fstatat(AT_FDCWD, whole, &before, 0);
    int fd = fails(made) ? -1 : real(dir, path, flags, mode);
    if (fd >= 0 && fd < FDS) {
        tracked[fd] = 1;
        appends[fd] = !!(flags & O_APPEND);
        note(made ? "create" : "open", fd, 0, flags, whole, strlen(whole), NULL);
    }
    UNLOCK(fd);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list list; \
        va_start(list, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0; \
        va_end(list); \
        return opened(AT_FDCWD, path, flags, mode); \
    }
#define OPENAT(name) \
    int name(int dir, const char *path, int flags, ...) { \
        va_list list; \
        va_start(list, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0; \
        va_end(list); \
        return opened(dir, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
int __open_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __openat_2(int dir, const char *path, int flags) { return opened(dir, path, flags, 0); }
int __openat64_2(int dir, const char *path, int flags) { return opened(dir, path, flags, 0); }
int creat(const char *path, mode_t mode) {
    return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int close(int fd) {
    REAL(int, "close", int);
    if (!of_interest(fd)) return real(fd);
    LOCK;
    tracked[fd] = 0;
    note("close", fd, 0, 0, NULL, 0, NULL);
    int done = real(fd);
    UNLOCK(done);
}

// Where the next write goes to.
static off_t position(int fd) {
    struct stat status;
    if (appends[fd] && !fstat(fd, &status)) return status.st_size;
    return lseek(fd, 0, SEEK_CUR);
}


// How much of a write happens.
static size_t part_of(size_t size) {
    return how == SHORT && calls == fail_at && size > 1 ? size / 2 : size;
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (!of_interest(fd)) return real(fd, data, size);
    LOCK;
    off_t offset = position(fd);
    ssize_t done = fails(1) ? -1 : real(fd, data, part_of(size));
    if (done > 0) note("write", fd, offset, 0, data, (size_t)done, NULL);
    UNLOCK(done);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    if (!of_interest(fd)) return real(fd, data, size, offset);
    LOCK;
    ssize_t done = fails(1) ? -1 : real(fd, data, part_of(size), offset);
    if (done > 0) note("write", fd, offset, 0, data, (size_t)done, NULL);
    UNLOCK(done);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    return pwrite64(fd, data, size, offset);
}

// Writes of several buffers become writes of one each; a caller must expect fewer bytes anyway.
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    if (!of_interest(fd)) return real(fd, parts, count);
    ssize_t sum = 0;
    for (int i = 0; i < count; i++) {
        ssize_t done = write(fd, parts[i].iov_base, parts[i].iov_len);
        if (done < 0) return sum ? sum : done;
        sum += done;
        if ((size_t)done < parts[i].iov_len) break;
    }
    return sum;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    REAL(ssize_t, "pwritev64", int, const struct iovec *, int, off64_t);
    if (!of_interest(fd)) return real(fd, parts, count, offset);
    ssize_t sum = 0;
    for (int i = 0; i < count; i++) {
        ssize_t done = pwrite64(fd, parts[i].iov_base, parts[i].iov_len, offset + sum);
        if (done < 0) return sum ? sum : done;
        sum += done;
        if ((size_t)done < parts[i].iov_len) break;
    }
    return sum;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    return pwritev64(fd, parts, count, offset);
}

int ftruncate64(int fd, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    if (!of_interest(fd)) return real(fd, size);
    LOCK;
    int done = fails(1) ? -1 : real(fd, size);
    if (!done) note("truncate", fd, size, 0, NULL, 0, NULL);
    UNLOCK(done);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

// The machine stays on, so nobody waits for the disk.
#define SYNC(name) \
    int name(int fd) { \
        REAL(int, #name, int); \
        if (!of_interest(fd)) return real(fd); \
        LOCK; \
        int done = fails(1) ? -1 : 0; \
        if (!done) note("sync", fd, 0, 0, NULL, 0, NULL); \
        UNLOCK(done); \
    }
SYNC(fsync)
SYNC(fdatasync)

// It cannot fail, and waits for every file of the machine: here it waits for none.
void sync(void) {
    if (!*root) return;
    LOCK;
    note("syncall", -1, 0, 0, NULL, 0, NULL);
    UNLOCK();
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned);
    char old[PATH_MAX], new[PATH_MAX];
    if (!below_root(from_dir, from, old) || !below_root(to_dir, to, new))
        return real(from_dir, from, to_dir, to, flags);
    LOCK;
    int done = fails(1) ? -1 : real(from_dir, from, to_dir, to, flags);
    if (!done) note("rename", -1, 0, flags, old, strlen(old), new);
    UNLOCK(done);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    return renameat2(from_dir, from, to_dir, to, 0);
}

int rename(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dir, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    char whole[PATH_MAX];
    if (!below_root(dir, path, whole)) return real(dir, path, flags);
    LOCK;
    int done = fails(0) ? -1 : real(dir, path, flags);
    if (!done) note("unlink", -1, 0, flags, whole, strlen(whole), NULL);
    UNLOCK(done);
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int dir, const char *path, mode_t mode) {
    REAL(int, "mkdirat", int, const char *, mode_t);
    char whole[PATH_MAX];
    if (!below_root(dir, path, whole)) return real(dir, path, mode);
    LOCK;
    int done = fails(1) ? -1 : real(dir, path, mode);
    if (!done) note("mkdir", -1, 0, 0, whole, strlen(whole), NULL);
    UNLOCK(done);
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
