/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leat-http: static files over HTTP/1.1, many connections on one thread (with
 * the stack inside: on each lcore).
 *
 * Each connection is a small machine: it receives a request, sends the
 * response, receives the next one.  connection_run takes it as far as it gets
 * without blocking; edge-triggered epoll tells when there is a point in
 * trying again.
 */
#include <errno.h>
#include <inttypes.h>
#include <leat/abi.h>
#include <leat/leat.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "http_file.h"
#include "http_request.h"
#include "placement.h"

#define EVENTS_PER_WAIT  128
#define ACCEPTS_PER_TURN 64
#define STEPS_PER_TURN   16 /* then other connections get their turn */
#define READ_BYTES       131072 /* of a large file at a time */

enum phase {
	RECEIVING, /* a request's head, after the body of the one before */
	SENDING, /* the response */
	LINGERING, /* all is sent; wait for the client to close, so that no reset eats the end */
};

enum progress { ON, BLOCKED, ENDED };

struct connection {
	int fd;
	enum phase phase;
	bool ready; /* on server.ready */
	uint64_t deadline_ms;
	TAILQ_ENTRY(connection) deadline_link;
	TAILQ_ENTRY(connection) ready_link;

	/* the response */
	bool close_after;
	char head[512];
	size_t head_length;
	size_t head_sent;
	struct http_file *file; /* NULL: no body beyond head */
	uint64_t offset; /* next byte of the file */
	uint64_t end;

	/* received, not yet used: [start, end) */
	uint64_t skip_bytes; /* of a request's body, before the next request */
	size_t input_start;
	size_t input_end;
	char input[HTTP_HEAD_MAX];
};

TAILQ_HEAD(connection_list, connection);

struct server {
	int listener;
	int epoll;
	struct http_files *files;
	uint64_t timeout_ms;
	uint64_t now_ms;
	time_t date_time;
	char date[32];
	struct connection_list by_deadline; /* all of them; the earliest deadline first */
	struct connection_list ready; /* have more to do without being woken */
	char read_buffer[READ_BYTES];
};

/* ---- connections and their deadlines ---- */

/* There was progress.  As all deadlines are equally far away, the list stays sorted. */
static void connection_touch(struct server *s, struct connection *c)
{
	c->deadline_ms = s->now_ms + s->timeout_ms;
	TAILQ_REMOVE(&s->by_deadline, c, deadline_link);
	TAILQ_INSERT_TAIL(&s->by_deadline, c, deadline_link);
}

static void connection_open(struct server *s, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	struct connection *c = malloc(sizeof(*c));

	if (c == NULL) {
		leat_close(fd);
		return;
	}
	memset(c, 0, offsetof(struct connection, input));
	c->fd = fd;
	c->phase = RECEIVING;
	event.data.ptr = c;
	if (leat_epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
		leat_close(fd);
		free(c);
		return;
	}
	TAILQ_INSERT_TAIL(&s->by_deadline, c, deadline_link);
	connection_touch(s, c);
}

static void response_drop_file(struct connection *c)
{
	if (c->file != NULL)
		http_file_put(c->file);
	c->file = NULL;
}

static void connection_close(struct server *s, struct connection *c)
{
	if (c->ready)
		TAILQ_REMOVE(&s->ready, c, ready_link);
	TAILQ_REMOVE(&s->by_deadline, c, deadline_link);
	response_drop_file(c);
	leat_close(c->fd); /* leaves the epoll set by itself */
	free(c);
}

/* ---- making a response ---- */

static const char *status_text(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 206:
		return "Partial Content";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 416:
		return "Range Not Satisfiable";
	case 431:
		return "Request Header Fields Too Large";
	case 501:
		return "Not Implemented";
	case 503:
		return "Service Unavailable";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Internal Server Error";
	}
}

static void format_date(char *out, size_t size, time_t time)
{
	struct tm tm;

	gmtime_r(&time, &tm);
	strftime(out, size, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static const char *date_now(struct server *s)
{
	time_t now = time(NULL);

	if (now != s->date_time) {
		s->date_time = now;
		format_date(s->date, sizeof(s->date), now);
	}
	return s->date;
}

static void response_begin(struct connection *c)
{
	c->phase = SENDING;
	c->head_length = 0;
	c->head_sent = 0;
	c->offset = 0;
	c->end = 0;
}

static void head_add(struct connection *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What we put into a head is bounded, and fits. */
static void head_add(struct connection *c, const char *format, ...)
{
	size_t room = sizeof(c->head) - c->head_length;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(c->head + c->head_length, room, format, arguments);
	va_end(arguments);
	if (length > 0)
		c->head_length += (size_t)length < room ? (size_t)length : room - 1;
}

static void head_add_common(struct server *s, struct connection *c, int status)
{
	head_add(c, "HTTP/1.1 %d %s\r\nServer: leat-http\r\nDate: %s\r\nConnection: %s\r\n", status,
		 status_text(status), date_now(s), c->close_after ? "close" : "keep-alive");
}

static void respond_error(struct server *s, struct connection *c, int status, bool with_body)
{
	char body[64];
	int length = snprintf(body, sizeof(body), "%d %s\n", status, status_text(status));

	response_begin(c);
	head_add_common(s, c, status);
	if (status == 405)
		head_add(c, "Allow: GET, HEAD\r\n");
	head_add(c, "Content-Type: text/plain\r\nContent-Length: %d\r\n", length);
	if (status == 416)
		head_add(c, "Content-Range: bytes */%" PRIu64 "\r\n", c->file->size);
	head_add(c, "\r\n%s", with_body ? body : "");
	response_drop_file(c);
}

static void respond(struct server *s, struct connection *c, struct http_request *r)
{
	bool get = r->method == HTTP_GET;
	int status = http_file_get(s->files, r->path, s->now_ms, &c->file);
	uint64_t first, count;
	char modified[32];

	c->close_after = !r->keep_alive;
	if (status != 200) {
		respond_error(s, c, status, get);
		return;
	}
	if (!get) /* RFC 9110, section 14.2: ranges are defined for GET alone */
		r->range = HTTP_RANGE_NONE;
	status = http_request_range(r, c->file->size, &first, &count);
	if (status == 416) {
		respond_error(s, c, status, true);
		return;
	}
	response_begin(c);
	format_date(modified, sizeof(modified), c->file->modified);
	head_add_common(s, c, status);
	head_add(c,
		 "Content-Type: %s\r\nContent-Length: %" PRIu64 "\r\n"
		 "Last-Modified: %s\r\nAccept-Ranges: bytes\r\n",
		 c->file->type, count, modified);
	if (status == 206)
		head_add(c, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", first,
			 first + count - 1, c->file->size);
	head_add(c, "\r\n");
	c->offset = first;
	c->end = get ? first + count : first;
}

/* ---- the three phases ---- */

/* Once more into the input buffer, whose used part moves to the front when it must. */
static enum progress fill_input(struct server *s, struct connection *c)
{
	bool was_empty = c->input_start == c->input_end;
	ssize_t got;

	if (c->input_start > 0) {
		memmove(c->input, c->input + c->input_start, c->input_end - c->input_start);
		c->input_end -= c->input_start;
		c->input_start = 0;
	}
	got = leat_recv(c->fd, c->input + c->input_end, sizeof(c->input) - c->input_end, 0);
	if (got < 0)
		return errno == EAGAIN ? BLOCKED : ENDED;
	if (got == 0)
		return ENDED;
	c->input_end += (size_t)got;
	/* The whole request must come within one timeout of its first byte, however slowly the
	 * rest drips in. */
	if (was_empty)
		connection_touch(s, c);
	return ON;
}

static enum progress receive_request(struct server *s, struct connection *c)
{
	size_t available = c->input_end - c->input_start;
	size_t skip = c->skip_bytes < available ? (size_t)c->skip_bytes : available;
	struct http_request request;
	int used = 0;

	c->skip_bytes -= skip;
	c->input_start += skip;
	available -= skip;
	if (available > 0)
		used = http_request_parse(&request, c->input + c->input_start, available);
	if (used == 0)
		return fill_input(s, c);
	if (used < 0) {
		c->close_after = true;
		respond_error(s, c, -used, true);
		return ON;
	}
	c->input_start += (size_t)used;
	c->skip_bytes = request.body_bytes;
	respond(s, c, &request);
	return ON;
}

static enum progress response_done(struct server *s, struct connection *c)
{
	response_drop_file(c);
	connection_touch(s, c);
	if (!c->close_after) {
		c->phase = RECEIVING;
		return ON;
	}
	c->phase = LINGERING;
	return leat_shutdown(c->fd, SHUT_WR) == 0 ? ON : ENDED;
}

/* The next bytes of the file: from memory, or read into the server's buffer.  -1: they are gone. */
static int next_body_bytes(struct server *s, const struct connection *c, struct iovec *out)
{
	uint64_t left = c->end - c->offset;
	ssize_t got;

	if (c->file->bytes != NULL) {
		*out = (struct iovec){(char *)c->file->bytes + c->offset, left};
		return 0;
	}
	got = pread(c->file->fd, s->read_buffer, left < READ_BYTES ? left : READ_BYTES,
		    (off_t)c->offset);
	if (got <= 0)
		return -1;
	*out = (struct iovec){s->read_buffer, (size_t)got};
	return 0;
}

static enum progress send_response(struct server *s, struct connection *c)
{
	size_t head_left = c->head_length - c->head_sent;
	struct iovec parts[2];
	int count = 0;
	ssize_t sent;

	if (head_left > 0)
		parts[count++] = (struct iovec){c->head + c->head_sent, head_left};
	if (c->offset < c->end) {
		if (next_body_bytes(s, c, &parts[count]) != 0)
			return ENDED; /* cut short: closing is how the client learns of it */
		count++;
	}
	if (count == 0)
		return response_done(s, c);
	sent = leat_writev(c->fd, parts, count);
	if (sent < 0)
		return errno == EAGAIN ? BLOCKED : ENDED;
	connection_touch(s, c);
	if ((size_t)sent < head_left) {
		c->head_sent += (size_t)sent;
	} else {
		c->head_sent = c->head_length;
		c->offset += (size_t)sent - head_left;
	}
	return ON;
}

static enum progress linger(struct server *s, struct connection *c)
{
	ssize_t got = leat_recv(c->fd, s->read_buffer, sizeof(s->read_buffer), 0);

	if (got > 0)
		return ON;
	return got < 0 && errno == EAGAIN ? BLOCKED : ENDED;
}

static void connection_run(struct server *s, struct connection *c)
{
	enum progress progress = ON;

	for (int step = 0; step < STEPS_PER_TURN && progress == ON; step++) {
		switch (c->phase) {
		case RECEIVING:
			progress = receive_request(s, c);
			break;
		case SENDING:
			progress = send_response(s, c);
			break;
		case LINGERING:
			progress = linger(s, c);
			break;
		}
	}
	if (progress == ENDED) {
		connection_close(s, c);
	} else if (progress == ON && !c->ready) {
		c->ready = true;
		TAILQ_INSERT_TAIL(&s->ready, c, ready_link);
	}
}

/* ---- the loop ---- */

static void accept_connections(struct server *s)
{
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = leat_accept4(s->listener, NULL, NULL, SOCK_NONBLOCK);

		if (fd >= 0) {
			connection_open(s, fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno == EAGAIN)
			return;
		/* Out of descriptors or memory: the one that has been silent longest makes room. */
		if ((errno != EMFILE && errno != ENFILE && errno != ENOMEM) ||
		    TAILQ_EMPTY(&s->by_deadline))
			die_errno("accept");
		connection_close(s, TAILQ_FIRST(&s->by_deadline));
		return;
	}
}

static void expire_connections(struct server *s)
{
	struct connection *c;

	while ((c = TAILQ_FIRST(&s->by_deadline)) != NULL && c->deadline_ms <= s->now_ms) {
		bool half_a_request = c->phase == RECEIVING && c->input_start < c->input_end;

		if (!half_a_request) {
			connection_close(s, c);
			continue;
		}
		c->close_after = true;
		respond_error(s, c, 408, true);
		connection_touch(s, c);
		connection_run(s, c);
	}
}

/* Each that is ready at this moment gets one turn. */
static void run_ready(struct server *s)
{
	struct connection *last = TAILQ_LAST(&s->ready, connection_list);
	struct connection *c;

	while ((c = TAILQ_FIRST(&s->ready)) != NULL) {
		bool done = c == last;

		TAILQ_REMOVE(&s->ready, c, ready_link);
		c->ready = false;
		connection_run(s, c);
		if (done)
			break;
	}
}

static int wait_ms(const struct server *s)
{
	const struct connection *c = TAILQ_FIRST(&s->by_deadline);

	/* Inline nobody waits here: the stack's turn comes when this one's is over. */
	if (!TAILQ_EMPTY(&s->ready) || is_inline())
		return 0;
	if (c == NULL)
		return -1;
	return c->deadline_ms > s->now_ms ? (int)(c->deadline_ms - s->now_ms) : 0;
}

/* Everybody who is ready gets a turn; how many were. */
static int serve_turn(struct server *s)
{
	struct epoll_event events[EVENTS_PER_WAIT];
	int count = leat_epoll_wait(s->epoll, events, EVENTS_PER_WAIT, wait_ms(s));
	bool ready = !TAILQ_EMPTY(&s->ready);

	if (count < 0 && errno != EINTR)
		die_errno("epoll_wait");
	s->now_ms = now_ms();
	for (int i = 0; i < count; i++) {
		/* A connection that is ready has its turn coming, below. */
		struct connection *c = events[i].data.ptr;

		if (c != NULL && !c->ready)
			connection_run(s, c);
	}
	run_ready(s);
	expire_connections(s);
	/* Last, as it may close a connection that an event above pointed to. */
	for (int i = 0; i < count; i++)
		if (events[i].data.ptr == NULL)
			accept_connections(s);
	return count > 0 ? count : ready;
}

static void server_open(struct server *s, const char *listen_at, const char *root)
{
	struct sockaddr_in address = parse_endpoint(listen_at);
	struct epoll_event event = {.events = EPOLLIN}; /* data.ptr NULL: the listener */

	TAILQ_INIT(&s->by_deadline);
	TAILQ_INIT(&s->ready);
	s->files = http_files_open(root);
	if (s->files == NULL)
		die_errno("%s", root);
	s->listener = open_server(&address, SOCK_STREAM | SOCK_NONBLOCK);
	s->epoll = leat_epoll_create1(0);
	if (s->epoll < 0 || leat_epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &event) != 0)
		die_errno("epoll");
	s->now_ms = now_ms();
}

static void server_close(struct server *s)
{
	while (!TAILQ_EMPTY(&s->by_deadline))
		connection_close(s, TAILQ_FIRST(&s->by_deadline));
	leat_close(s->listener);
	leat_close(s->epoll);
	http_files_close(s->files);
}

static const char usage[] =
	"usage: leat-http --listen ADDR:PORT --root DIR [--timeout SECONDS] [--socket PATH]\n"
	"Serves the files beneath DIR over HTTP/1.1, through leatd.\n"
	"  --listen ADDR:PORT  where to listen (0.0.0.0 for any address)\n"
	"  --root DIR          what to serve; nothing outside DIR can be reached\n"
	"  --timeout SECONDS   close a connection silent for so long (default 30)\n"
	"  --socket PATH       leatd's socket (default: LEAT_SOCKET, or the built-in "
	"path)\n" INLINE_USAGE;

/* What to serve, and who does it on each worker. */
struct service {
	const char *listen_at;
	const char *root;
	uint64_t timeout_ms;
	struct server *server[LEAT_MAX_WORKERS];
};

static struct server *server_create(const struct service *service)
{
	struct server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		die_errno("calloc");
	s->timeout_ms = service->timeout_ms;
	server_open(s, service->listen_at, service->root);
	printf("leat-http: serving %s at %s\n", service->root, service->listen_at);
	fflush(stdout);
	return s;
}

static int loop(unsigned worker, void *arg)
{
	struct service *service = arg;
	struct server *s = service->server[worker];

	if (s == NULL)
		s = service->server[worker] = server_create(service);
	if (!stopped)
		return serve_turn(s);
	server_close(s);
	free(s);
	return -1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"listen", required_argument, NULL, 'l'},
		{"root", required_argument, NULL, 'r'},
		{"timeout", required_argument, NULL, 't'},
		COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	static struct service service = {.timeout_ms = 30000};
	int option;

	begin(&argc, &argv);
	while ((option = next_option(argc, argv, "h", options, usage)) != -1) {
		switch (option) {
		case 'l':
			service.listen_at = optarg;
			break;
		case 'r':
			service.root = optarg;
			break;
		case 't':
			service.timeout_ms = 1000 * strtoull(optarg, NULL, 10);
			if (service.timeout_ms == 0 || service.timeout_ms > 86400000)
				die("--timeout %s: between 1 and 86400 seconds", optarg);
			break;
		}
	}
	if (service.listen_at == NULL || service.root == NULL || optind != argc)
		usage_error(usage);
	signal(SIGPIPE, SIG_IGN); /* a write to a closed connection is an ordinary error here */
	stop_on_signals();
	run(loop, &service);
	return 0;
}
