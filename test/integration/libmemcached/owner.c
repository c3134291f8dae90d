/*
 * Tells which server libmemcached chooses for keys, without talking to any.
 *
 *   owner HOST:PORT:WEIGHT ... < keys, one a line
 *
 * Prints for each key one line: HOST:PORT.
 */
#include <libmemcached/memcached.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what)
{
  fprintf(stderr, "owner: %s\n", what);
  exit(1);
}

int main(int argc, char **argv)
{
  memcached_st *memc = memcached_create(NULL);
  if (memc == NULL) fail("no memory");
  if (memcached_behavior_set(memc, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1) != MEMCACHED_SUCCESS)
    fail("KETAMA_WEIGHTED is refused");
  for (int i = 1; i < argc; i++) {
    char *weight = strrchr(argv[i], ':');
    if (weight == NULL) fail("no weight");
    *weight++ = '\0';
    char *port = strrchr(argv[i], ':');
    if (port == NULL) fail("no port");
    *port++ = '\0';
    if (memcached_server_add_with_weight(memc, argv[i], (in_port_t)atoi(port), (uint32_t)atoi(weight)) !=
        MEMCACHED_SUCCESS)
      fail("a server is refused");
  }
  char *line = NULL;
  size_t size = 0;
  for (ssize_t length; (length = getline(&line, &size, stdin)) > 0;) {
    if (line[length - 1] == '\n') length--;
    memcached_return_t error;
    const memcached_instance_st *server = memcached_server_by_key(memc, line, (size_t)length, &error);
    if (server == NULL) fail(memcached_strerror(memc, error));
    printf("%s:%d\n", memcached_server_name(server), (int)memcached_server_port(server));
  }
  free(line);
  memcached_free(memc);
  return 0;
}
