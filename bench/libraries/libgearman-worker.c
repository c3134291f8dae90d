/* libgearman-worker PORT: as README.md says of workers, one job at a time. */
#include <libgearman/gearman.h>
#include <stdio.h>
#include <stdlib.h>

static gearman_return_t echo(gearman_job_st *job, void *context)
{
  (void)context;
  return gearman_job_send_complete(job, gearman_job_workload(job), gearman_job_workload_size(job));
}

int main(int argc, char **argv)
{
  if (argc < 2) return 2;
  gearman_worker_st *worker = gearman_worker_create(NULL);
  gearman_function_t function = gearman_function_create(echo);
  if (gearman_success(gearman_worker_add_server(worker, "127.0.0.1", atoi(argv[1]))) &&
      gearman_success(gearman_worker_define_function(worker, "echo", 4, function, 0, NULL)))
    while (gearman_success(gearman_worker_work(worker))) continue;
  fprintf(stderr, "libgearman-worker: %s\n", gearman_worker_error(worker));
  return 1;
}
