// Fails or kills at the n-th change of a file below a directory.
//
// A library for LD_PRELOAD. It counts calls that change files, and acts on one
// of them, as the environment says at the first of these calls in a process:
//   FAULTS_ROOT    the directory; without it nothing is counted
//   FAULTS_AT      number of the call that is acted on, from 1; 0: none
//   FAULTS_ACTION  kill: before the call; torn: after half of what it writes,
//                  else after it; EIO or ENOSPC: it fails so
//   FAULTS_TRACE   a file that gets a record a call, see `trace`
//
// What a FILE buffers counts when it is handed to fwrite.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) \
  static __typeof__(&name) real; \
  if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static __thread int inside;  // Calls of our own are not counted.
static pid_t owner;          // A fork counts anew.
static char root[PATH_MAX];
static long at, count;
static int error_number, tears, trace_file;

static void begin(void) {
  if (owner == getpid()) return;
  const char* of_root = getenv("FAULTS_ROOT");
  if (!of_root) return;  // It may be set later.
  owner = getpid();
  snprintf(root, sizeof root, "%s", of_root);
  const char* text = getenv("FAULTS_AT");
  const char* action = getenv("FAULTS_ACTION");
  const char* trace = getenv("FAULTS_TRACE");
  at = text ? atol(text) : 0;
  count = 0;
  if (!action) action = "kill";
  tears = !strcmp(action, "torn");
  error_number = !strcmp(action, "EIO") ? EIO
                 : !strcmp(action, "ENOSPC") ? ENOSPC : 0;
  trace_file = trace ? open(trace, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
}

// For a process that does one run after another: reads the environment again.
void faults_begin_anew(void) { owner = 0; }

static int below_root(const char* path) {
  size_t length = strlen(root);
  return length && !strncmp(path, root, length) &&
         (path[length] == '/' || !path[length]);
}

// The absolute path of `name` in an open directory, or of a descriptor.
static void path_of(int directory, const char* name, char* path) {
  char base[PATH_MAX] = "";
  if (name && name[0] == '/') {
    snprintf(path, PATH_MAX, "%s", name);
    return;
  }
  char link[64];
  if (directory == AT_FDCWD) {
    if (!getcwd(base, sizeof base)) base[0] = 0;
  } else {
    snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
    ssize_t length = readlink(link, base, sizeof base - 1);
    base[length > 0 ? length : 0] = 0;
  }
  if (name && *name) {
    int length = snprintf(path, PATH_MAX, "%s/%s", base, name);
    if (length >= PATH_MAX) path[0] = 0;
  } else {
    snprintf(path, PATH_MAX, "%s", base);
  }
}

static void put(const void* data, size_t size) {
  if (write(trace_file, data, size) != (ssize_t)size) abort();
}

// A line "call offset sizes of the two paths and of the data", then these.
static void trace(const char* call, const char* path, const char* other,
                  long offset, const void* data, size_t size) {
  if (trace_file < 0) return;
  char line[128];
  int length = snprintf(line, sizeof line, "%s %ld %zu %zu %zu\n", call, offset,
                        strlen(path), strlen(other), size);
  put(line, length);
  put(path, strlen(path));
  put(other, strlen(other));
  put(data, size);
}

// Counts a call. Returns 1 if it must fail with `errno` set, 2 if it is to be
// torn, 0 if it goes on.
static int counted(const char* call, const char* path, const char* other,
                   long offset, const void* data, size_t size) {
  begin();
  if (inside || owner != getpid()) return 0;
  if (!below_root(path) && !below_root(other)) return 0;
  inside = 1;
  ++count;
  int result = 0;
  if (count == at) {
    if (!error_number && !tears) kill(owner, SIGKILL);
    if (error_number) errno = error_number;
    result = error_number ? 1 : 2;
  }
  if (result != 1) trace(call, path, other, offset, data, size);
  inside = 0;
  return result;
}

static void die_if(int torn) {
  if (torn == 2) kill(getpid(), SIGKILL);
}

static int opened(int directory, const char* name, int flags) {
  if (!(flags & (O_CREAT | O_TRUNC))) return 0;
  char path[PATH_MAX];
  path_of(directory, name, path);
  int is_there = !faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW);
  if (is_there && !(flags & O_TRUNC)) return 0;
  return counted(is_there ? "truncate" : "create", path, "", 0, "", 0);
}

#define OPEN(name, type, parameters, directory, arguments)  \
  int name parameters {                                      \
    REAL(name);                                              \
    mode_t mode = 0;                                         \
    if (flags & (O_CREAT | O_TMPFILE)) {                     \
      va_list list;                                          \
      va_start(list, flags);                                 \
      mode = va_arg(list, mode_t);                           \
      va_end(list);                                          \
    }                                                        \
    int torn = opened(directory, path, flags);               \
    if (torn == 1) return -1;                                \
    int result = real arguments;                             \
    die_if(torn);                                            \
    return result;                                           \
  }

OPEN(open, , (const char* path, int flags, ...), AT_FDCWD, (path, flags, mode))
OPEN(open64, , (const char* path, int flags, ...), AT_FDCWD,
     (path, flags, mode))
OPEN(openat, , (int directory, const char* path, int flags, ...), directory,
     (directory, path, flags, mode))
OPEN(openat64, , (int directory, const char* path, int flags, ...), directory,
     (directory, path, flags, mode))

static int mode_flags(const char* mode) {
  if (mode[0] == 'w') return O_CREAT | O_TRUNC;
  return mode[0] == 'a' ? O_CREAT : 0;
}

#define FOPEN(name)                                             \
  FILE* name(const char* path, const char* mode) {              \
    REAL(name);                                                 \
    int torn = opened(AT_FDCWD, path, mode_flags(mode));        \
    if (torn == 1) return NULL;                                 \
    FILE* result = real(path, mode);                            \
    die_if(torn);                                               \
    return result;                                              \
  }

FOPEN(fopen)
FOPEN(fopen64)

static long offset_of(int file) {
  int flags = fcntl(file, F_GETFL);
  struct stat status;
  if (flags >= 0 && (flags & O_APPEND) && !fstat(file, &status)) {
    return status.st_size;
  }
  return lseek(file, 0, SEEK_CUR);
}

ssize_t write(int file, const void* data, size_t size) {
  REAL(write);
  begin();
  if (inside || owner != getpid() || file == trace_file) {
    return real(file, data, size);
  }
  char path[PATH_MAX];
  path_of(file, NULL, path);
  if (!below_root(path)) return real(file, data, size);
  int torn = counted("write", path, "", offset_of(file), data, size);
  if (torn == 1) return -1;
  ssize_t result = real(file, data, torn == 2 ? size / 2 : size);
  die_if(torn);
  return result;
}

size_t fwrite(const void* data, size_t size, size_t number, FILE* stream) {
  REAL(fwrite);
  begin();
  if (inside || owner != getpid()) return real(data, size, number, stream);
  char path[PATH_MAX];
  path_of(fileno(stream), NULL, path);
  if (!below_root(path)) return real(data, size, number, stream);
  int torn = counted("write", path, "", ftell(stream), data, size * number);
  if (torn == 1) return 0;
  size_t result = real(data, size, torn == 2 ? number / 2 : number, stream);
  if (torn == 2) fflush(stream);
  die_if(torn);
  return result;
}

#define OF_DESCRIPTOR(name, call)                         \
  int name(int file) {                                    \
    REAL(name);                                           \
    char path[PATH_MAX];                                  \
    path_of(file, NULL, path);                            \
    int torn = counted(call, path, "", 0, "", 0);         \
    if (torn == 1) return -1;                             \
    int result = real(file);                              \
    die_if(torn);                                         \
    return result;                                        \
  }

OF_DESCRIPTOR(fsync, "sync")
OF_DESCRIPTOR(fdatasync, "sync")

#define CUT(name, type)                                        \
  int name(int file, type size) {                              \
    REAL(name);                                                \
    char path[PATH_MAX];                                       \
    path_of(file, NULL, path);                                 \
    int torn = counted("cut", path, "", (long)size, "", 0);    \
    if (torn == 1) return -1;                                  \
    int result = real(file, size);                             \
    die_if(torn);                                              \
    return result;                                             \
  }

CUT(ftruncate, off_t)
CUT(ftruncate64, off64_t)

#define ON_PATH(name, call, parameters, directory, arguments) \
  int name parameters {                                       \
    REAL(name);                                               \
    char full[PATH_MAX];                                      \
    path_of(directory, path, full);                           \
    int torn = counted(call, full, "", 0, "", 0);             \
    if (torn == 1) return -1;                                 \
    int result = real arguments;                              \
    die_if(torn);                                             \
    return result;                                            \
  }

ON_PATH(unlink, "remove", (const char* path), AT_FDCWD, (path))
ON_PATH(rmdir, "remove", (const char* path), AT_FDCWD, (path))
ON_PATH(remove, "remove", (const char* path), AT_FDCWD, (path))
ON_PATH(unlinkat, "remove", (int directory, const char* path, int flags),
        directory, (directory, path, flags))
ON_PATH(mkdir, "mkdir", (const char* path, mode_t mode), AT_FDCWD, (path, mode))
ON_PATH(mkdirat, "mkdir", (int directory, const char* path, mode_t mode),
        directory, (directory, path, mode))

#define RENAME(name, parameters, from, to, arguments)             \
  int name parameters {                                           \
    REAL(name);                                                   \
    char old_full[PATH_MAX], new_full[PATH_MAX];                  \
    path_of(from, old_path, old_full);                            \
    path_of(to, new_path, new_full);                              \
    int torn = counted("rename", old_full, new_full, 0, "", 0);   \
    if (torn == 1) return -1;                                     \
    int result = real arguments;                                  \
    die_if(torn);                                                 \
    return result;                                                \
  }

RENAME(rename, (const char* old_path, const char* new_path), AT_FDCWD, AT_FDCWD,
       (old_path, new_path))
RENAME(renameat,
       (int old_directory, const char* old_path, int new_directory,
        const char* new_path),
       old_directory, new_directory,
       (old_directory, old_path, new_directory, new_path))
RENAME(renameat2,
       (int old_directory, const char* old_path, int new_directory,
        const char* new_path, unsigned flags),
       old_directory, new_directory,
       (old_directory, old_path, new_directory, new_path, flags))
