/*
 * A client on libgearman that does one thing and tells each event on a line of its own:
 *
 *   client PORT run PRIORITY FUNCTION WORKLOAD [UNIQUE]         a task with every callback
 *   client PORT do PRIORITY FUNCTION WORKLOAD [UNIQUE]          the blocking call
 *   client PORT background PRIORITY FUNCTION WORKLOAD [UNIQUE]
 *   client PORT epoch SECONDS FUNCTION WORKLOAD [UNIQUE]
 *   client PORT many COUNT FUNCTION WORKLOAD                    that many tasks at once, results in a set
 *   client PORT partition SPLITTER REDUCER WORKLOAD
 *   client PORT status HANDLE
 *   client PORT unique UNIQUE
 *   client PORT echo BYTES
 *   client PORT option NAME
 */
#include <libgearman/gearman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gearman_client_st *client;

static int failed(const char *what)
{
  printf("error %s: %s\n", what, gearman_client_error(client) ? gearman_client_error(client) : "no reason");
  return 1;
}

static void tell(const char *event, const void *bytes, size_t size)
{
  printf("%s %.*s\n", event, (int)size, bytes ? (const char *)bytes : "");
}

static void tell_task(const char *event, gearman_task_st *task)
{
  tell(event, gearman_task_data(task), gearman_task_data_size(task));
}

static gearman_return_t on_created(gearman_task_st *task)
{
  printf("created %s\n", gearman_task_job_handle(task));
  return GEARMAN_SUCCESS;
}

static gearman_return_t on_data(gearman_task_st *task)
{
  tell_task("data", task);
  return GEARMAN_SUCCESS;
}

static gearman_return_t on_warning(gearman_task_st *task)
{
  tell_task("warning", task);
  return GEARMAN_SUCCESS;
}

static gearman_return_t on_status(gearman_task_st *task)
{
  printf("status %u %u\n", gearman_task_numerator(task), gearman_task_denominator(task));
  return GEARMAN_SUCCESS;
}

static gearman_return_t on_complete(gearman_task_st *task)
{
  tell_task("complete", task);
  return GEARMAN_SUCCESS;
}

static gearman_return_t on_exception(gearman_task_st *task)
{
  tell_task("exception", task);
  return GEARMAN_SUCCESS;
}

static gearman_return_t on_fail(gearman_task_st *task)
{
  (void)task;
  printf("fail\n");
  return GEARMAN_SUCCESS;
}

static int run(const char *priority, const char *function, const char *unique, const char *workload)
{
  gearman_return_t ret;
  size_t size = strlen(workload);
  gearman_client_set_created_fn(client, on_created);
  gearman_client_set_data_fn(client, on_data);
  gearman_client_set_warning_fn(client, on_warning);
  gearman_client_set_status_fn(client, on_status);
  gearman_client_set_complete_fn(client, on_complete);
  gearman_client_set_exception_fn(client, on_exception);
  gearman_client_set_fail_fn(client, on_fail);
  if (!gearman_client_set_server_option(client, "exceptions", strlen("exceptions"))) return failed("option");

  if (strcmp(priority, "high") == 0)
    gearman_client_add_task_high(client, NULL, NULL, function, unique, workload, size, &ret);
  else if (strcmp(priority, "low") == 0)
    gearman_client_add_task_low(client, NULL, NULL, function, unique, workload, size, &ret);
  else
    gearman_client_add_task(client, NULL, NULL, function, unique, workload, size, &ret);
  if (gearman_failed(ret)) return failed("add task");
  if (gearman_failed(gearman_client_run_tasks(client))) return failed("run tasks");
  return 0;
}

static int do_it(const char *priority, const char *function, const char *unique, const char *workload)
{
  void *(*call)(gearman_client_st *, const char *, const char *, const void *, size_t, size_t *, gearman_return_t *) =
      strcmp(priority, "high") == 0  ? gearman_client_do_high
      : strcmp(priority, "low") == 0 ? gearman_client_do_low
                                     : gearman_client_do;
  for (;;) {
    gearman_return_t ret;
    size_t size = 0;
    uint32_t numerator, denominator;
    char *result = call(client, function, unique, workload, strlen(workload), &size, &ret);
    switch (ret) {
    case GEARMAN_WORK_DATA: tell("data", result, size); break;
    case GEARMAN_WORK_WARNING: tell("warning", result, size); break;
    case GEARMAN_WORK_STATUS:
      gearman_client_do_status(client, &numerator, &denominator);
      printf("status %u %u\n", numerator, denominator);
      break;
    case GEARMAN_SUCCESS:
      tell("complete", result, size);
      free(result);
      return 0;
    case GEARMAN_WORK_FAIL: printf("fail\n"); return 0;
    case GEARMAN_WORK_EXCEPTION: tell("exception", result, size); return 0;
    default: return failed("do");
    }
    free(result);
  }
}

static int background(const char *priority, const char *function, const char *unique, const char *workload)
{
  gearman_job_handle_t handle;
  gearman_return_t (*call)(gearman_client_st *, const char *, const char *, const void *, size_t, char *) =
      strcmp(priority, "high") == 0  ? gearman_client_do_high_background
      : strcmp(priority, "low") == 0 ? gearman_client_do_low_background
                                     : gearman_client_do_background;
  if (gearman_failed(call(client, function, unique, workload, strlen(workload), handle))) return failed("background");
  printf("handle %s\n", handle);
  return 0;
}

static int epoch(const char *seconds, const char *function, const char *unique, const char *workload)
{
  gearman_task_attr_t when = gearman_task_attr_init_epoch((time_t)atoll(seconds), GEARMAN_JOB_PRIORITY_NORMAL);
  gearman_argument_t argument = gearman_argument_make(NULL, 0, workload, strlen(workload));
  gearman_task_st *task = gearman_execute(client, function, strlen(function), unique, unique ? strlen(unique) : 0,
                                          &when, &argument, NULL);
  if (task == NULL) return failed("epoch");
  printf("handle %s\n", gearman_task_job_handle(task));
  return 0;
}

/* Counts what comes back, since results of several tasks come in any order. */
static int complete_count, wrong_count;
static char expected[4096];

static gearman_return_t on_one_of_many(gearman_task_st *task)
{
  complete_count += 1;
  if (gearman_task_data_size(task) != strlen(expected) ||
      memcmp(gearman_task_data(task), expected, strlen(expected)) != 0)
    wrong_count += 1;
  return GEARMAN_SUCCESS;
}

static int many(const char *count, const char *function, const char *workload)
{
  gearman_return_t ret;
  size_t length = strlen(workload);
  for (size_t at = 0; at < length && at < sizeof(expected) - 1; at++) expected[at] = workload[length - 1 - at];
  gearman_client_set_complete_fn(client, on_one_of_many);
  for (int at = 0; at < atoi(count); at++) {
    gearman_client_add_task(client, NULL, NULL, function, NULL, workload, length, &ret);
    if (gearman_failed(ret)) return failed("add task");
  }
  if (gearman_failed(gearman_client_run_tasks(client))) return failed("run tasks");
  printf("completed %d wrong %d\n", complete_count, wrong_count);
  return 0;
}

static int partition(const char *splitter, const char *reducer, const char *workload)
{
  gearman_argument_t argument = gearman_argument_make(NULL, 0, workload, strlen(workload));
  gearman_task_st *task = gearman_execute_by_partition(client, splitter, strlen(splitter), reducer, strlen(reducer),
                                                       NULL, 0, NULL, &argument, NULL);
  if (task == NULL) return failed("partition");
  if (gearman_failed(gearman_task_return(task))) {
    printf("failed %s\n", gearman_strerror(gearman_task_return(task)));
    return 0;
  }
  gearman_result_st *result = gearman_task_result(task);
  tell("complete", gearman_result_value(result), gearman_result_size(result));
  return 0;
}

static int status(char *handle)
{
  bool known, running;
  uint32_t numerator, denominator;
  if (gearman_failed(gearman_client_job_status(client, handle, &known, &running, &numerator, &denominator)))
    return failed("status");
  printf("status %d %d %u %u\n", known, running, numerator, denominator);
  return 0;
}

static int unique_status(const char *unique)
{
  gearman_status_t it = gearman_client_unique_status(client, unique, strlen(unique));
  if (gearman_failed(gearman_status_return(it))) return failed("unique");
  printf("unique %d %d %u %u\n", gearman_status_is_known(it), gearman_status_is_running(it),
         gearman_status_numerator(it), gearman_status_denominator(it));
  return 0;
}

static int echo(const char *bytes)
{
  if (gearman_failed(gearman_client_echo(client, bytes, strlen(bytes)))) return failed("echo");
  printf("echoed\n");
  return 0;
}

static int option(const char *name)
{
  bool granted = gearman_client_set_server_option(client, name, strlen(name));
  printf(granted ? "granted\n" : "denied\n");
  return 0;
}

static int act(int count, char **word)
{
  const char *verb = word[0];
  if (count >= 4 && count <= 5) {
    const char *unique = count == 5 ? word[4] : NULL;
    if (strcmp(verb, "run") == 0) return run(word[1], word[2], unique, word[3]);
    if (strcmp(verb, "do") == 0) return do_it(word[1], word[2], unique, word[3]);
    if (strcmp(verb, "background") == 0) return background(word[1], word[2], unique, word[3]);
    if (strcmp(verb, "epoch") == 0) return epoch(word[1], word[2], unique, word[3]);
    if (strcmp(verb, "many") == 0) return many(word[1], word[2], word[3]);
    if (strcmp(verb, "partition") == 0) return partition(word[1], word[2], word[3]);
  }
  if (count == 2) {
    if (strcmp(verb, "status") == 0) return status(word[1]);
    if (strcmp(verb, "unique") == 0) return unique_status(word[1]);
    if (strcmp(verb, "echo") == 0) return echo(word[1]);
    if (strcmp(verb, "option") == 0) return option(word[1]);
  }
  fprintf(stderr, "client: no such use: %s with %d words\n", verb, count);
  return 2;
}

int main(int count, char **word)
{
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (count < 3) return 2;
  client = gearman_client_create(NULL);
  if (client == NULL) return 2;
  gearman_client_set_timeout(client, 60000);
  if (gearman_failed(gearman_client_add_server(client, "127.0.0.1", (in_port_t)atoi(word[1])))) return failed("server");
  int code = act(count - 2, word + 2);
  gearman_client_free(client);
  return code;
}
