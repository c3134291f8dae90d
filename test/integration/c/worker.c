/*
 * A worker on libgearman: worker PORT NAME FUNCTION... runs until it is killed. The functions are those that every
 * worker of these tests offers, whatever its language:
 *
 *   reverse  the workload backwards
 *   stream   status 1/2, data, a warning, data, status 2/2, then "whole"
 *   fail     fails
 *   throw    ends with the exception "exploded: WORKLOAD"
 *   hold     WORKLOAD is FOLDER: adds a line NAME to FOLDER/started, waits for FOLDER/gate, answers "held by NAME"
 *   empty    an empty result
 *
 * and, for reduce jobs, split: sends each word of the workload on and joins what the reducer made of them.
 */
#include <errno.h>
#include <libgearman/gearman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *worker_name;

static gearman_return_t reverse(gearman_job_st *job, void *context)
{
  (void)context;
  size_t size = gearman_job_workload_size(job);
  const char *workload = gearman_job_workload(job);
  char *result = malloc(size + 1);
  for (size_t at = 0; at < size; at++) result[at] = workload[size - 1 - at];
  gearman_return_t ret = gearman_job_send_complete(job, result, size);
  free(result);
  return gearman_failed(ret) ? GEARMAN_ERROR : GEARMAN_SUCCESS;
}

static gearman_return_t stream(gearman_job_st *job, void *context)
{
  (void)context;
  gearman_job_send_status(job, 1, 2);
  gearman_job_send_data(job, "one", 3);
  gearman_job_send_warning(job, "careful", 7);
  gearman_job_send_data(job, "two", 3);
  gearman_job_send_status(job, 2, 2);
  gearman_job_send_complete(job, "whole", 5);
  return GEARMAN_SUCCESS;
}

static gearman_return_t fail(gearman_job_st *job, void *context)
{
  (void)context;
  gearman_job_send_fail(job);
  return GEARMAN_SUCCESS;
}

static gearman_return_t throw(gearman_job_st *job, void *context)
{
  (void)context;
  char text[256];
  int size = snprintf(text, sizeof(text), "exploded: %.*s", (int)gearman_job_workload_size(job),
                      (const char *)gearman_job_workload(job));
  gearman_job_send_exception(job, text, (size_t)size);
  return GEARMAN_SUCCESS;
}

static gearman_return_t hold(gearman_job_st *job, void *context)
{
  (void)context;
  char folder[512], path[600], text[128];
  snprintf(folder, sizeof(folder), "%.*s", (int)gearman_job_workload_size(job),
           (const char *)gearman_job_workload(job));
  snprintf(path, sizeof(path), "%s/started", folder);
  FILE *started = fopen(path, "a");
  if (started == NULL) return GEARMAN_ERROR;
  fprintf(started, "%s\n", worker_name);
  fclose(started);
  snprintf(path, sizeof(path), "%s/gate", folder);
  while (access(path, F_OK) != 0) nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  int size = snprintf(text, sizeof(text), "held by %s", worker_name);
  gearman_job_send_complete(job, text, (size_t)size);
  return GEARMAN_SUCCESS;
}

static gearman_return_t empty(gearman_job_st *job, void *context)
{
  (void)context;
  gearman_job_send_complete(job, "", 0);
  return GEARMAN_SUCCESS;
}

static gearman_return_t split(gearman_job_st *job, void *context)
{
  (void)context;
  const char *workload = gearman_job_workload(job);
  size_t size = gearman_job_workload_size(job), from = 0;
  for (size_t at = 0; at <= size; at++) {
    if (at < size && workload[at] != ' ') continue;
    if (at > from && gearman_failed(gearman_job_send_data(job, workload + from, at - from))) return GEARMAN_ERROR;
    from = at + 1;
  }
  return GEARMAN_SUCCESS;
}

static gearman_return_t join_parts(gearman_aggregator_st *self, gearman_task_st *task, gearman_result_st *result)
{
  (void)self;
  char joined[4096] = "";
  size_t used = 0;
  do {
    gearman_result_st *part = gearman_task_result(task);
    if (part == NULL || gearman_failed(gearman_task_return(task))) return GEARMAN_ERROR;
    int more = snprintf(joined + used, sizeof(joined) - used, "%s%.*s", used ? " " : "",
                        (int)gearman_result_size(part), gearman_result_value(part));
    used += (size_t)more;
  } while ((task = gearman_next(task)) != NULL && used < sizeof(joined));
  return gearman_result_store_value(result, joined, used);
}

static const struct {
  const char *name;
  gearman_function_fn *body;
} abilities[] = {{"reverse", reverse}, {"stream", stream}, {"fail", fail},
                 {"throw", throw},     {"hold", hold},     {"empty", empty}};

static gearman_function_t ability(const char *name)
{
  if (strcmp(name, "split") == 0) return gearman_function_create_partition(split, join_parts);
  for (size_t at = 0; at < sizeof(abilities) / sizeof(*abilities); at++)
    if (strcmp(name, abilities[at].name) == 0) return gearman_function_create(abilities[at].body);
  fprintf(stderr, "worker: no function %s\n", name);
  exit(2);
}

int main(int count, char **word)
{
  if (count < 4) return 2;
  worker_name = word[2];
  gearman_worker_st *worker = gearman_worker_create(NULL);
  if (worker == NULL) return 2;
  gearman_worker_add_server(worker, "127.0.0.1", (in_port_t)atoi(word[1]));
  gearman_worker_set_identifier(worker, worker_name, strlen(worker_name));
  for (int at = 3; at < count; at++)
    if (gearman_failed(gearman_worker_define_function(worker, word[at], strlen(word[at]), ability(word[at]), 0, NULL)))
      return 2;
  for (;;) {
    gearman_return_t ret = gearman_worker_work(worker);
    if (gearman_failed(ret) && ret != GEARMAN_WORK_FAIL) {
      fprintf(stderr, "worker: %s\n", gearman_worker_error(worker));
      nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
  }
}
