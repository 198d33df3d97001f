/* Makes a disk fail: preloaded, it lets one call that writes below a folder fail, or all from that one on.

   The file that FAULT_CONTROL names holds what to do, and counts the calls. It is shared by all processes, so whoever
   runs a job can set it between two of them. See disk_faults.py. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PASS = 0, FULL = 1, ERROR_ONCE = 2, ERROR = 3, SHORT_THEN_FULL = 4, SHORT_ONCE = 5 };

struct control {
    _Atomic int64_t calls; /* that wrote below the folder so far */
    int64_t at;            /* the one that fails; 0: none */
    int64_t kind;
    char folder[4096]; /* ends with a slash */
};

static struct control *control;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("FAULT_CONTROL");
    int file = path ? open(path, O_RDWR) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) control = mapped;
    close(file);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_below(const char *path) {
    return control && control->folder[0] && strncmp(path, control->folder, strlen(control->folder)) == 0;
}

static int fd_is_below(int file) {
    char link[64], path[PATH_MAX];
    if (!control || !control->at) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_below(path);
}

static int path_is_below(int folder, const char *path) {
    char start[PATH_MAX], full[2 * PATH_MAX], link[64];
    if (!control || !control->at || !path) return 0;
    if (path[0] == '/') return is_below(path);
    if (folder == AT_FDCWD) {
        if (!getcwd(start, sizeof start)) return 0;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, start, sizeof start - 1);
        if (length <= 0) return 0;
        start[length] = 0;
    }
    snprintf(full, sizeof full, "%s/%s", start, path);
    return is_below(full);
}

/* 0: go on; -1: write only a part; else the error. Counts the call. */
static int decide(void) {
    int64_t call = atomic_fetch_add(&control->calls, 1) + 1;
    if (call < control->at) return 0;
    int first = call == control->at;
    switch (control->kind) {
    case FULL: return ENOSPC;
    case ERROR_ONCE: return first ? EIO : 0;
    case ERROR: return EIO;
    case SHORT_THEN_FULL: return first ? -1 : ENOSPC;
    case SHORT_ONCE: return first ? -1 : 0;
    default: return 0;
    }
}

#define FAIL_IF(condition)                                                                                             \
    do {                                                                                                               \
        int error_ = (condition) ? decide() : 0;                                                                       \
        if (error_ > 0) {                                                                                              \
            errno = error_;                                                                                            \
            return -1;                                                                                                 \
        }                                                                                                              \
    } while (0)

ssize_t write(int file, const void *data, size_t size) {
    int decision = fd_is_below(file) ? decide() : 0;
    if (decision > 0) {
        errno = decision;
        return -1;
    }
    return REAL(write)(file, data, decision < 0 && size > 1 ? size / 2 : size);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t place) {
    int decision = fd_is_below(file) ? decide() : 0;
    if (decision > 0) {
        errno = decision;
        return -1;
    }
    return REAL(pwrite64)(file, data, decision < 0 && size > 1 ? size / 2 : size, place);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    FAIL_IF(fd_is_below(file));
    return REAL(writev)(file, parts, count);
}

int fsync(int file) {
    FAIL_IF(fd_is_below(file));
    return REAL(fsync)(file);
}

int ftruncate64(int file, off64_t size) {
    FAIL_IF(fd_is_below(file));
    return REAL(ftruncate64)(file, size);
}

int rename(const char *from, const char *to) {
    FAIL_IF(path_is_below(AT_FDCWD, to));
    return REAL(rename)(from, to);
}

int renameat(int folder, const char *from, int other, const char *to) {
    FAIL_IF(path_is_below(other, to));
    return REAL(renameat)(folder, from, other, to);
}

int mkdir(const char *path, mode_t mode) {
    FAIL_IF(path_is_below(AT_FDCWD, path));
    return REAL(mkdir)(path, mode);
}

#define MODE_OF(flags, mode)                                                                                           \
    mode_t mode = 0;                                                                                                   \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                                                             \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    FAIL_IF((flags & O_CREAT) && path_is_below(AT_FDCWD, path));
    return REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    FAIL_IF((flags & O_CREAT) && path_is_below(AT_FDCWD, path));
    return REAL(open64)(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    FAIL_IF((flags & O_CREAT) && path_is_below(folder, path));
    return REAL(openat)(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    FAIL_IF((flags & O_CREAT) && path_is_below(folder, path));
    return REAL(openat64)(folder, path, flags, mode);
}
