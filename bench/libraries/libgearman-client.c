/*
 * libgearman-client PORT UNIQUES SUBMITTERS WARMUP_MS MEASURE_MS: as README.md says of clients. libgearman takes no
 * further tasks while it runs some, so jobs go in batches of UNIQUES; and it waits for ever when two tasks of one client
 * are the same job, so each submitter has a client and a thread of its own.
 */
#include <libgearman/gearman.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { WORKLOAD_BYTES = 64 };

struct expected
{
  char workload[WORKLOAD_BYTES + 1];
  bool answered;
};

static int port;
static unsigned long uniques, batches;
static bool over;
static atomic_ulong wrong;
static pthread_barrier_t barrier;

static double now_ms(void)
{
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1e3 + at.tv_nsec / 1e6;
}

static double cpu_us(void)
{
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

static void fail(gearman_client_st *client)
{
  fprintf(stderr, "libgearman-client: %s\n", gearman_client_error(client));
  exit(1);
}

static gearman_return_t on_complete(gearman_task_st *task)
{
  struct expected *expected = gearman_task_context(task);
  expected->answered = gearman_task_data_size(task) == WORKLOAD_BYTES &&
                       memcmp(gearman_task_data(task), expected->workload, WORKLOAD_BYTES) == 0;
  return GEARMAN_SUCCESS;
}

static void run_batch(gearman_client_st *client, struct expected *jobs)
{
  for (unsigned long i = 0; i < uniques; i++)
  {
    unsigned long number = batches * uniques + i;
    char unique[24];
    gearman_return_t ret;
    snprintf(unique, sizeof(unique), "%lu", number);
    snprintf(jobs[i].workload, sizeof(jobs[i].workload), "%0*lu", WORKLOAD_BYTES, number);
    jobs[i].answered = false;
    gearman_client_add_task(client, NULL, &jobs[i], "echo", unique, jobs[i].workload, WORKLOAD_BYTES, &ret);
    if (gearman_failed(ret)) fail(client);
  }
  if (gearman_failed(gearman_client_run_tasks(client))) fail(client);
  gearman_client_task_free_all(client);
  for (unsigned long i = 0; i < uniques; i++)
    if (!jobs[i].answered) wrong++;
}

static void *submitter(void *unused)
{
  (void)unused;
  struct expected *jobs = calloc(uniques, sizeof(*jobs));
  gearman_client_st *client = gearman_client_create(NULL);
  if (gearman_failed(gearman_client_add_server(client, "127.0.0.1", port))) fail(client);
  gearman_client_set_complete_fn(client, on_complete);
  for (;;)
  {
    pthread_barrier_wait(&barrier);
    if (over) break;
    run_batch(client, jobs);
    pthread_barrier_wait(&barrier);
  }
  gearman_client_free(client);
  free(jobs);
  return NULL;
}

/** Lets all submitters run batches for so long. Returns how many. */
static unsigned long run_batches(double ms)
{
  unsigned long before = batches;
  for (double end_ms = now_ms() + ms; now_ms() < end_ms; batches++)
  {
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
  }
  return batches - before;
}

int main(int argc, char **argv)
{
  if (argc != 6) return 2;
  port = atoi(argv[1]);
  uniques = strtoul(argv[2], NULL, 10);
  unsigned long submitters = strtoul(argv[3], NULL, 10);
  pthread_t *threads = calloc(submitters, sizeof(*threads));
  pthread_barrier_init(&barrier, NULL, submitters + 1);
  for (unsigned long i = 0; i < submitters; i++) pthread_create(&threads[i], NULL, submitter, NULL);

  run_batches(atof(argv[4]));
  puts("begin");
  fflush(stdout);
  double begin_ms = now_ms(), begin_cpu_us = cpu_us();
  unsigned long jobs = run_batches(atof(argv[5])) * uniques * submitters;
  printf("{\"jobs\":%lu,\"ms\":%.3f,\"cpuUs\":%.0f,", jobs, now_ms() - begin_ms, cpu_us() - begin_cpu_us);

  over = true;
  pthread_barrier_wait(&barrier);
  for (unsigned long i = 0; i < submitters; i++) pthread_join(threads[i], NULL);
  printf("\"wrong\":%lu}\n", wrong);
  return 0;
}
