/*
 * Clients of several servers at once that submit the same uniques all the time, and come again when they lost their server:
 *
 *   submitters FUNCTION PREFIX UNIQUES DEPTH PORT ...
 *
 * CONNECTIONS to each port on 127.0.0.1 have DEPTH foreground jobs each under way, of the uniques PREFIX0 to
 * PREFIX(UNIQUES - 1), whose workload is the unique; whoever works answers with the workload. At SIGTERM it submits no more,
 * waits for what is under way, and prints what became of all:
 *
 *   {"done": answered, "failed": refused or WORK_FAIL, "cut": lost with their connection, "missing": never answered,
 *    "corrupt": answers of another unique, "unexpected": other packets and handles, "redials": connections made anew}
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SUBMIT_JOB = 7, JOB_CREATED = 8, WORK_COMPLETE = 13, WORK_FAIL = 14, ERROR_RES = 19, WORK_DATA = 28 };
enum { CONNECTIONS = 2, MAX_DEPTH = 64, MAX_CONNECTIONS = 128, TEXT = 64, IN = 1 << 16, HEADER = 12 };
enum { REDIAL_MS = 20, PATIENCE_MS = 20000 };

struct submission {
  enum { FREE, SENT, CREATED } state;
  unsigned turn;
  char unique[TEXT], handle[TEXT];
};

struct connection {
  int fd, port;
  int64_t redial_ms;
  /* Those without a handle, in the order in which they were sent. */
  unsigned sent[MAX_DEPTH], first_sent, sent_count;
  struct submission of[MAX_DEPTH];
  uint8_t in[IN];
  size_t in_size;
};

static struct connection connections[MAX_CONNECTIONS];
static int count;
static unsigned uniques, depth;
static const char *function, *prefix;
static long done, failed, cut, corrupt, unexpected, redials;
static volatile sig_atomic_t stopping;

static void stop(int signal_number)
{
  (void)signal_number;
  stopping = 1;
}

static void fail(const char *what)
{
  fprintf(stderr, "submitters: %s\n", what);
  exit(2);
}

static int64_t now_ms(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void lose(struct connection *c)
{
  close(c->fd);
  c->fd = -1;
  c->redial_ms = now_ms() + REDIAL_MS;
  c->in_size = c->first_sent = c->sent_count = 0;
  for (unsigned i = 0; i < depth; i++) {
    if (c->of[i].state != FREE) cut++;
    c->of[i].state = FREE;
  }
}

/* A full socket is waited for, which only a server that does not read any more makes long. */
static bool send_all(struct connection *c, const uint8_t *bytes, size_t size)
{
  while (size > 0) {
    ssize_t sent = send(c->fd, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) {
      lose(c);
      return false;
    }
    bytes += sent;
    size -= (size_t)sent;
  }
  return true;
}

/* The uniques of submission i are i, i + depth, ...: no connection waits for one of them twice at a time. */
static bool submit(struct connection *c, unsigned i)
{
  struct submission *s = &c->of[i];
  uint8_t packet[HEADER + 4 * TEXT] = {0, 'R', 'E', 'Q', 0, 0, 0, SUBMIT_JOB};
  snprintf(s->unique, sizeof s->unique, "%s%u", prefix, (s->turn++ * depth + i) % uniques);
  size_t name = strlen(function) + 1, unique = strlen(s->unique);
  uint32_t size = htonl((uint32_t)(name + unique + 1 + unique));
  memcpy(packet + 8, &size, 4);
  memcpy(packet + HEADER, function, name);
  memcpy(packet + HEADER + name, s->unique, unique + 1);
  memcpy(packet + HEADER + name + unique + 1, s->unique, unique);
  s->state = SENT;
  c->sent[(c->first_sent + c->sent_count++) % MAX_DEPTH] = i;
  return send_all(c, packet, HEADER + name + unique + 1 + unique);
}

static struct submission *shift_sent(struct connection *c)
{
  if (c->sent_count == 0) return NULL;
  c->sent_count--;
  return &c->of[c->sent[c->first_sent++ % MAX_DEPTH]];
}

static struct submission *of_handle(struct connection *c, const char *handle, size_t size)
{
  for (unsigned i = 0; i < depth; i++) {
    struct submission *s = &c->of[i];
    if (s->state == CREATED && strlen(s->handle) == size && memcmp(s->handle, handle, size) == 0) return s;
  }
  return NULL;
}

static void take(struct connection *c, uint32_t type, const char *body, size_t size)
{
  size_t first = strnlen(body, size);
  size_t rest = first < size ? size - first - 1 : 0;
  struct submission *s = type == JOB_CREATED || type == ERROR_RES ? shift_sent(c) : of_handle(c, body, first);
  if (s == NULL) {
    unexpected++;
    return;
  }
  switch (type) {
  case JOB_CREATED:
    snprintf(s->handle, sizeof s->handle, "%.*s", (int)size, body);
    s->state = CREATED;
    return;
  case WORK_DATA:
  case WORK_COMPLETE:
    if (rest != strlen(s->unique) || memcmp(body + first + 1, s->unique, rest) != 0) corrupt++;
    if (type == WORK_DATA) return;
    done++;
    break;
  case WORK_FAIL:
  case ERROR_RES:
    failed++;
    break;
  default:
    unexpected++;
    return;
  }
  s->state = FREE;
}

static void receive(struct connection *c)
{
  ssize_t got = recv(c->fd, c->in + c->in_size, IN - c->in_size, 0);
  if (got < 0 && errno == EINTR) return;
  if (got <= 0) {
    lose(c);
    return;
  }
  c->in_size += (size_t)got;
  size_t at = 0;
  for (;;) {
    uint32_t type, size;
    if (c->in_size - at < HEADER) break;
    memcpy(&type, c->in + at + 4, 4);
    memcpy(&size, c->in + at + 8, 4);
    if (ntohl(size) > IN - HEADER) fail("a packet is too large");
    if (c->in_size - at < HEADER + ntohl(size)) break;
    take(c, ntohl(type), (const char *)c->in + at + HEADER, ntohl(size));
    at += HEADER + ntohl(size);
  }
  memmove(c->in, c->in + at, c->in_size - at);
  c->in_size -= at;
}

static void dial(struct connection *c)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)c->port)};
  int on = 1;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0) fail(strerror(errno));
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) == 0) return;
  close(c->fd);
  c->fd = -1;
  c->redial_ms = now_ms() + REDIAL_MS;
}

static long under_way(void)
{
  long sum = 0;
  for (int i = 0; i < count; i++)
    for (unsigned j = 0; j < depth; j++) sum += connections[i].of[j].state != FREE;
  return sum;
}

static void fill(struct connection *c)
{
  if (c->fd < 0 && c->redial_ms <= now_ms()) {
    dial(c);
    if (c->fd >= 0) redials++;
  }
  for (unsigned i = 0; i < depth && c->fd >= 0; i++)
    if (c->of[i].state == FREE && !submit(c, i)) return;
}

int main(int argc, char **argv)
{
  if (argc < 6) fail("takes FUNCTION PREFIX UNIQUES DEPTH PORT ...");
  function = argv[1];
  prefix = argv[2];
  uniques = (unsigned)atoi(argv[3]);
  depth = (unsigned)atoi(argv[4]);
  if (strlen(function) >= TEXT || strlen(prefix) >= TEXT - 11) fail("a name is too long");
  if (depth == 0 || depth > MAX_DEPTH || uniques == 0 || uniques % depth != 0)
    fail("DEPTH goes from 1 to 64, and into UNIQUES");
  if ((argc - 5) * CONNECTIONS > MAX_CONNECTIONS) fail("too many ports");
  for (int i = 5; i < argc; i++) {
    for (int j = 0; j < CONNECTIONS; j++) {
      struct connection *c = &connections[count++];
      c->port = atoi(argv[i]);
      dial(c);
      if (c->fd < 0) fail("a server is not there");
    }
  }
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGTERM, &action, NULL);
  int64_t until_ms = INT64_MAX;
  while (!stopping || (under_way() > 0 && now_ms() < until_ms)) {
    struct pollfd polled[MAX_CONNECTIONS];
    if (stopping && until_ms == INT64_MAX) until_ms = now_ms() + PATIENCE_MS;
    for (int i = 0; i < count; i++) {
      if (!stopping) fill(&connections[i]);
      polled[i] = (struct pollfd){.fd = connections[i].fd, .events = POLLIN};
    }
    if (poll(polled, (nfds_t)count, REDIAL_MS) <= 0) continue;
    for (int i = 0; i < count; i++)
      if (polled[i].fd >= 0 && polled[i].revents != 0) receive(&connections[i]);
  }
  printf("{\"done\": %ld, \"failed\": %ld, \"cut\": %ld, \"missing\": %ld, \"corrupt\": %ld, \"unexpected\": %ld, \"redials\": %ld}\n",
         done, failed, cut, under_way(), corrupt, unexpected, redials);
  return 0;
}
