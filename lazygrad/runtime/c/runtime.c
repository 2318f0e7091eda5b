/* The runtime library of generated programs: runs schedules of kernels on a pool of threads.
 *
 * Compiled once into the disk cache and opened with cffi (the cdef is in the section "interface").
 * It knows nothing of Python. Link with -lpthread, on Linux with -Wl,-z,nodelete too: the threads
 * live in this text, which must not be unmapped when a handle to the library is dropped.
 *
 * Promises: results do not depend on the number of threads as long as the kernels' do not depend on
 * how [lo, hi) is split; a step too small to gain is run by the caller without touching the pool; a
 * caller never waits for a thread that has not begun to work, so a sleeping or descheduled thread
 * costs nothing; after fork() the child starts a pool of its own when it needs one.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* ---- interface --------------------------------------------------------------------------------- */

/* Does work items [lo, hi) of an instance: p are its buffers, d its integers. A kernel that gets no
   memory to work in sets p[-1] to anything but 0 and returns. */
typedef void (*lg_kernel)(char **p, const int64_t *d, int64_t lo, int64_t hi);

/* One use of a kernel: its pointers are nptr entries from slot0 of `slot` and `offset`, its integers
   begin at dim0 of `dims`. */
typedef struct {
  int64_t items;
  int32_t nptr, slot0;
  int64_t dim0;
} lg_instance;

/* Independent instances [first, first + count) of one kernel. `grain` is the least number of items
   worth giving to a thread. */
typedef struct {
  lg_kernel fn;
  int64_t first, count, grain;
} lg_step;

/* Pointer i of an instance is slots[slot[slot0 + i]] + offset[slot0 + i]. */
typedef struct {
  const lg_step *steps;
  int64_t nsteps;
  const lg_instance *inst;
  const int32_t *slot;
  const int64_t *offset, *dims;
} lg_program;

int lg_run(const lg_program *prog, char *const *slots, int64_t *times);
void lg_set_threads(int64_t n);
int64_t lg_get_threads(void);

/* ---- running items ----------------------------------------------------------------------------- */

/* Both return whether the kernel got the memory it needs. */
static int run_instance(const lg_program *prog, char *const *slots, lg_kernel fn,
                        const lg_instance *in, int64_t lo, int64_t hi) {
  char *all[in->nptr + 1], **p = all + 1;
  all[0] = 0;
  const int32_t *slot = prog->slot + in->slot0;
  const int64_t *offset = prog->offset + in->slot0;
  for (int32_t i = 0; i < in->nptr; i++) p[i] = slots[slot[i]] + offset[i];
  fn(p, prog->dims + in->dim0, lo, hi);
  return !all[0];
}

/* Items [lo, hi) of a step, whose instances' items are numbered through. */
static int run_items(const lg_program *prog, char *const *slots, const lg_step *step, int64_t lo,
                     int64_t hi) {
  const lg_instance *in = prog->inst + step->first, *end = in + step->count;
  for (; in < end && lo < hi; in++) {
    if (lo < in->items &&
        !run_instance(prog, slots, step->fn, in, lo, hi < in->items ? hi : in->items))
      return 0;
    lo = lo > in->items ? lo - in->items : 0;
    hi -= in->items;
  }
  return 1;
}

/* ---- the pool ---------------------------------------------------------------------------------- */

enum {
  MAX_THREADS = 256,
  CHUNKS_PER_THREAD = 4, /* so that threads which start late or are slow get less */
  LONG_ITEMS = 8,        /* but at least so many items in a chunk where one is worth a thread */
  SPIN_NS = 200 * 1000,  /* a worker stays awake for so long after it last found work */
  YIELD_AFTER = 4000,    /* the caller's turns of waiting before it gives its CPU away */
};

#define LINE __attribute__((aligned(128))) /* a cache line, and the neighbour fetched with it */

/* What the workers are to do. Written by the thread that holds `lock`, before it publishes `ticket`;
   read by a worker only between a successful claim and its count in `done`, that is never while
   it is written. */
static struct {
  const lg_program *prog;
  char *const *slots;
  const lg_step *step;
  int64_t items, chunk;
} job;

/* The chunks of the job, number << 32 | next one to claim. A claim is a compare-and-swap of
   `ticket` to ticket + 1. One that succeeds is a claim of the job published now, even if its
   expected value was read during an earlier job that looked the same: nothing else about a job is
   read before the claim, so there is no ABA problem. The claim's acquire and the publisher's release
   (continued by the other claims, which are read-modify-writes) make `job` visible. */
static LINE _Atomic uint64_t ticket;
static LINE _Atomic int64_t done;     /* chunks finished by workers */
static _Atomic int starved;           /* whether a chunk of this job got no memory */
static LINE _Atomic uint32_t epoch;   /* changes when there is something new; workers sleep on it */
static LINE _Atomic int32_t sleepers; /* workers that sleep or are about to */

static LINE pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* held for a job; for all below too */
static pthread_t thread[MAX_THREADS];                         /* from 1: the caller is number 0 */
static int workers;                                           /* threads running */
static _Atomic int wanted = 1;                                /* threads, the caller included */

static inline void relax(void) {
#if defined __x86_64__ || defined __i386__
  __builtin_ia32_pause();
#elif defined __aarch64__
  __asm__ volatile("isb"); /* `yield` is a no-op on most cores */
#endif
}

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Sleeping until `epoch` is no longer `seen`, and waking n sleepers after it has changed. Between
   the check and the sleep the kernel (or the mutex) sees to it that no change is missed. */
#ifdef __linux__
static void sleep_while(uint32_t seen) {
  syscall(SYS_futex, &epoch, FUTEX_WAIT_PRIVATE, seen, 0, 0, 0);
}
static void wake(int n) { syscall(SYS_futex, &epoch, FUTEX_WAKE_PRIVATE, n, 0, 0, 0); }
static void reset_sleep(void) {}
#else
static pthread_mutex_t sleep_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t sleep_cond = PTHREAD_COND_INITIALIZER;
static void sleep_while(uint32_t seen) {
  pthread_mutex_lock(&sleep_lock);
  while (atomic_load(&epoch) == seen) pthread_cond_wait(&sleep_cond, &sleep_lock);
  pthread_mutex_unlock(&sleep_lock);
}
static void wake(int n) {
  (void)n; /* more than needed wake up, find nothing and sleep again */
  pthread_mutex_lock(&sleep_lock); /* now no worker is between its check and its wait */
  pthread_mutex_unlock(&sleep_lock);
  pthread_cond_broadcast(&sleep_cond);
}
static void reset_sleep(void) {
  pthread_mutex_init(&sleep_lock, NULL);
  pthread_cond_init(&sleep_cond, NULL);
}
#endif

/* Claims and runs chunks until none is left. Returns how many it ran, having added one to `count`,
   if given, after each. */
static int64_t work(_Atomic int64_t *count) {
  int64_t ran = 0;
  uint64_t t = atomic_load_explicit(&ticket, memory_order_relaxed);
  for (;;) {
    const uint32_t next = (uint32_t)t, chunks = (uint32_t)(t >> 32);
    if (next >= chunks) return ran;
    if (!atomic_compare_exchange_weak_explicit(&ticket, &t, t + 1, memory_order_acquire,
                                               memory_order_relaxed))
      continue; /* t has been read again */
    const int64_t lo = next * job.chunk, hi = lo + job.chunk;
    if (!run_items(job.prog, job.slots, job.step, lo, hi < job.items ? hi : job.items))
      atomic_store_explicit(&starved, 1, memory_order_relaxed); /* `done` publishes it */
    ran++;
    /* from here on `job` may change, if this was the last chunk */
    if (count) atomic_fetch_add_explicit(count, 1, memory_order_release);
    t = atomic_load_explicit(&ticket, memory_order_relaxed);
  }
}

/* Tells the workers to look again. Either this thread sees the sleeper here, or the sleeper sees
   the new epoch before it sleeps: both sides write, then read, in one order for all threads
   (seq_cst). */
static void call_workers(int n) {
  atomic_fetch_add(&epoch, 1);
  if (atomic_load(&sleepers)) wake(n);
}

static void *worker(void *number) {
  uint32_t seen = atomic_load(&epoch) - 1; /* so that it looks for work at once */
  for (;;) {
    int64_t until = 0;
    uint32_t e;
    for (int turn = 0; (e = atomic_load_explicit(&epoch, memory_order_acquire)) == seen; turn++) {
      relax();
      if (turn % 32) continue;
      const int64_t t = now();
      if (!until) until = t + SPIN_NS;
      if (t < until) continue;
      atomic_fetch_add(&sleepers, 1);
      if (atomic_load(&epoch) == seen) sleep_while(seen);
      atomic_fetch_sub(&sleepers, 1);
    }
    seen = e;
    if ((intptr_t)number >= atomic_load(&wanted)) return NULL;
    work(&done);
  }
}

/* Threads are kept off the CPU on which the caller runs: Linux tends to wake a thread there, where
   it would wait for the caller while another CPU idles. */
#ifdef __linux__
static cpu_set_t allowed; /* the CPUs of the thread that started the pool */
static int may_place, caller_cpu = -1;

static void place_workers(void) {
  const int cpu = sched_getcpu();
  if (cpu == caller_cpu || cpu < 0 || cpu >= CPU_SETSIZE || !may_place) return;
  caller_cpu = cpu;
  cpu_set_t set = allowed;
  CPU_CLR(cpu, &set);
  if (!CPU_COUNT(&set)) return;
  for (int i = 1; i <= workers; i++) pthread_setaffinity_np(thread[i], sizeof set, &set);
}
static void new_workers(void) {
  if (workers == 0) may_place = !sched_getaffinity(0, sizeof allowed, &allowed);
  caller_cpu = -1;
}
#else
static void place_workers(void) {}
static void new_workers(void) {}
#endif

/* In the child of fork() only the forking thread exists: the pool is empty, nobody holds the lock. */
static void after_fork(void) {
  workers = 0;
  atomic_store(&ticket, 0);
  atomic_store(&sleepers, 0);
  pthread_mutex_init(&lock, NULL);
  reset_sleep();
}

/* Starts the missing workers. They take no signals: those are for the program's own threads. */
static void start_workers(int n) {
  static int registered;
  if (!registered) registered = !pthread_atfork(NULL, NULL, after_fork); /* children inherit it */
  if (!registered) return; /* no memory: run without threads, not with ones a child believes in */
  sigset_t block, old;
  sigfillset(&block);
  sigdelset(&block, SIGSEGV);
  sigdelset(&block, SIGBUS);
  sigdelset(&block, SIGFPE);
  sigdelset(&block, SIGILL);
  sigdelset(&block, SIGTRAP);
  sigdelset(&block, SIGABRT);
  pthread_sigmask(SIG_SETMASK, &block, &old);
  new_workers();
  while (workers < n) {
    if (pthread_create(&thread[workers + 1], NULL, worker, (void *)(intptr_t)(workers + 1))) break;
    workers++;
  }
  pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Runs the step on the pool. False if it is not worth it or the pool is taken: nothing was run.
   *enough: whether all of it got the memory it needs. */
static int run_parallel(const lg_program *prog, char *const *slots, const lg_step *step,
                        int64_t items, int *enough) {
  int threads = atomic_load_explicit(&wanted, memory_order_relaxed);
  const int64_t grain = step->grain > 1 ? step->grain : 1, shares = items / grain;
  if (threads < 2 || shares < 2 || pthread_mutex_trylock(&lock)) return 0;
  threads = atomic_load(&wanted); /* may have changed until the lock was taken */
  if (workers < threads - 1) start_workers(threads - 1);
  if (workers < threads - 1) threads = workers + 1;
  if (threads < 2) {
    pthread_mutex_unlock(&lock);
    return 0;
  }
  /* an equal number of chunks for every thread, each of at least a grain */
  int64_t per_thread = shares / threads, most = CHUNKS_PER_THREAD;
  if (grain == 1 && items / threads / LONG_ITEMS < most) {
    /* a late start is short beside such items, and what neighbours share is not: a product copies
       what it reads for all of a chunk */
    most = items / threads / LONG_ITEMS;
    if (most < 1) most = 1;
  }
  if (per_thread > most) per_thread = most;
  int64_t chunks = per_thread ? per_thread * threads : shares;
  const int64_t chunk = (items + chunks - 1) / chunks;
  chunks = (items + chunk - 1) / chunk;
  place_workers();
  job.prog = prog, job.slots = slots, job.step = step, job.items = items, job.chunk = chunk;
  atomic_store_explicit(&done, 0, memory_order_relaxed);
  atomic_store_explicit(&starved, 0, memory_order_relaxed);
  atomic_store_explicit(&ticket, (uint64_t)chunks << 32, memory_order_release);
  call_workers(chunks - 1 < threads - 1 ? (int)(chunks - 1) : threads - 1);
  const int64_t others = chunks - work(NULL);
  for (int turn = 0; atomic_load_explicit(&done, memory_order_acquire) < others; turn++) {
    if (turn < YIELD_AFTER) relax();
    else sched_yield();
  }
  *enough = !atomic_load_explicit(&starved, memory_order_relaxed);
  pthread_mutex_unlock(&lock);
  return 1;
}

/* ---- the interface's functions ----------------------------------------------------------------- */

/* Runs the steps in order; `times`, if given, gets the nanoseconds that each has taken. May be
   called from several threads at once: one of them uses the pool, the others run alone. Returns 0,
   or 1 after a step in which a kernel got no memory: no step is run after it. */
int lg_run(const lg_program *prog, char *const *slots, int64_t *times) {
  int64_t before = times ? now() : 0;
  for (int64_t s = 0; s < prog->nsteps; s++) {
    const lg_step *step = prog->steps + s;
    const lg_instance *in = prog->inst + step->first;
    int64_t items = 0;
    for (int64_t i = 0; i < step->count; i++) items += in[i].items;
    int enough;
    if (!run_parallel(prog, slots, step, items, &enough))
      enough = run_items(prog, slots, step, 0, items);
    if (!enough) return 1;
    if (times) {
      const int64_t t = now();
      times[s] = t - before;
      before = t;
    }
  }
  return 0;
}

/* How many threads a step may use, the caller included. Threads start when they are first needed;
   those no longer wanted have ended when this returns. Waits for a step that uses the pool. */
void lg_set_threads(int64_t n) {
  pthread_mutex_lock(&lock);
  atomic_store(&wanted, n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (int)n);
  if (workers > wanted - 1) {
    call_workers(INT_MAX);
    for (; workers > wanted - 1; workers--) pthread_join(thread[workers], NULL);
  }
  pthread_mutex_unlock(&lock);
}

int64_t lg_get_threads(void) { return atomic_load(&wanted); }
