/* Counts what a process does to files, and makes every sync slower or leaves it out. Loaded with LD_PRELOAD.
 *
 * A fast disk hides how many syncs a program needs; with a millisecond more for each of them it shows. Left out, they
 * show what everything else costs. What was counted lies in `bench_counters`, in the order of syncs.py.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { SYNCS, WRITES, WRITTEN, READS, READ, LOCKS, COUNTERS };

_Atomic long long bench_counters[COUNTERS];
_Atomic long long bench_delay; /* nanoseconds that each sync takes more; below zero: no sync is done */

static int (*real_fsync)(int), (*real_fdatasync)(int), (*real_flock)(int, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t), (*real_write)(int, const void *, size_t);
static ssize_t (*real_pread)(int, void *, size_t, off64_t), (*real_read)(int, void *, size_t);

__attribute__((constructor)) static void find(void) {
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_flock = dlsym(RTLD_NEXT, "flock");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pread = dlsym(RTLD_NEXT, "pread64");
    real_read = dlsym(RTLD_NEXT, "read");
    const char *delay = getenv("BENCH_SYNC_DELAY");
    bench_delay = delay ? atoll(delay) : 0;
}

static int sync_with(int (**real)(int), int file) {
    if (*real == NULL)
        find(); /* another library's constructor came before ours */
    bench_counters[SYNCS]++;
    if (bench_delay < 0)
        return 0;
    int result = (*real)(file);
    if (bench_delay > 0) {
        struct timespec left = {bench_delay / 1000000000, bench_delay % 1000000000};
        while (nanosleep(&left, &left) != 0)
            ;
    }
    return result;
}

static ssize_t counted(int count, int bytes, ssize_t done) {
    bench_counters[count]++;
    if (done > 0)
        bench_counters[bytes] += done;
    return done;
}

int fsync(int file) { return sync_with(&real_fsync, file); }
int fdatasync(int file) { return sync_with(&real_fdatasync, file); }
int flock(int file, int what) {
    if (real_flock == NULL)
        find();
    bench_counters[LOCKS]++;
    return real_flock(file, what);
}
ssize_t pwrite64(int file, const void *from, size_t size, off64_t at) {
    if (real_pwrite == NULL)
        find();
    return counted(WRITES, WRITTEN, real_pwrite(file, from, size, at));
}
ssize_t pwrite(int file, const void *from, size_t size, off_t at) { return pwrite64(file, from, size, at); }
ssize_t write(int file, const void *from, size_t size) {
    if (real_write == NULL)
        find();
    return counted(WRITES, WRITTEN, real_write(file, from, size));
}
ssize_t pread64(int file, void *to, size_t size, off64_t at) {
    if (real_pread == NULL)
        find();
    return counted(READS, READ, real_pread(file, to, size, at));
}
ssize_t pread(int file, void *to, size_t size, off_t at) { return pread64(file, to, size, at); }
ssize_t read(int file, void *to, size_t size) {
    if (real_read == NULL)
        find();
    return counted(READS, READ, real_read(file, to, size));
}
