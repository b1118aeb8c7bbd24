/* SPDX-License-Identifier: BSD-3-Clause */
#include "http_request.h"

#include <string.h>
#include <strings.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A piece of the request, not terminated by NUL. */
struct text {
	const char *start;
	size_t length;
};

/* What the fields have said so far. */
struct fields {
	unsigned hosts;
	bool has_length;
	bool has_encoding;
	bool has_if_range;
	int minor_version;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* RFC 9110, section 5.6.2. */
static bool is_token(struct text t)
{
	for (size_t i = 0; i < t.length; i++) {
		char c = t.start[i];
		char lower = (char)(c | 0x20);

		if (c == '\0' || (!is_digit(c) && (lower < 'a' || lower > 'z') &&
				  strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return t.length > 0;
}

static bool text_is(struct text t, const char *word)
{
	return t.length == strlen(word) && memcmp(t.start, word, t.length) == 0;
}

static bool text_is_nocase(struct text t, const char *word)
{
	return t.length == strlen(word) && strncasecmp(t.start, word, t.length) == 0;
}

static bool starts_with(struct text t, const char *word)
{
	return t.length >= strlen(word) && strncasecmp(t.start, word, strlen(word)) == 0;
}

static struct text skip(struct text t, size_t count)
{
	return (struct text){t.start + count, t.length - count};
}

static struct text trim(struct text t)
{
	while (t.length > 0 && (t.start[0] == ' ' || t.start[0] == '\t'))
		t = skip(t, 1);
	while (t.length > 0 && (t.start[t.length - 1] == ' ' || t.start[t.length - 1] == '\t'))
		t.length--;
	return t;
}

/* Takes what stands before the first separator out of *rest; all of it when there is none. */
static struct text take_until(struct text *rest, char separator)
{
	const char *at = rest->length > 0 ? memchr(rest->start, separator, rest->length) : NULL;
	struct text taken = *rest;

	if (at == NULL) {
		*rest = skip(*rest, rest->length);
		return taken;
	}
	taken.length = (size_t)(at - rest->start);
	*rest = skip(*rest, taken.length + 1);
	return taken;
}

/* A line without its end (CRLF, or LF alone as RFC 9112, section 2.2 lets us accept). */
static struct text take_line(struct text *rest)
{
	struct text line = take_until(rest, '\n');

	if (line.length > 0 && line.start[line.length - 1] == '\r')
		line.length--;
	return line;
}

/* Digits only; what does not fit becomes UINT64_MAX. */
static bool parse_number(struct text t, uint64_t *out)
{
	uint64_t value = 0;

	for (size_t i = 0; i < t.length; i++) {
		if (!is_digit(t.start[i]))
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(t.start[i] - '0'), &value))
			value = UINT64_MAX;
	}
	*out = value;
	return t.length > 0;
}

/* Where does the head end?  The length with its empty line, or 0. */
static size_t head_length(const char *data, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (data[i] != '\n')
			continue;
		if (i + 1 < length && data[i + 1] == '\n')
			return i + 2;
		if (i + 2 < length && data[i + 1] == '\r' && data[i + 2] == '\n')
			return i + 3;
	}
	return 0;
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The path of a request target: origin form, or absolute form (RFC 9112, section 3.2). */
static int parse_target(struct http_request *r, struct text target)
{
	size_t out = 0;

	if (starts_with(target, "http://")) {
		const char *slash;

		target = skip(target, strlen("http://"));
		slash = memchr(target.start, '/', target.length);
		if (slash == NULL)
			target = (struct text){"/", 1};
		else
			target = skip(target, (size_t)(slash - target.start));
	}
	target = take_until(&target, '?');
	if (target.length == 0 || target.start[0] != '/')
		return -400;
	while (target.length > 0 && target.start[0] == '/')
		target = skip(target, 1);
	for (size_t i = 0; i < target.length; i++) {
		char c = target.start[i];

		if (c == '%') {
			int high = i + 2 < target.length ? hex_value(target.start[i + 1]) : -1;
			int low = i + 2 < target.length ? hex_value(target.start[i + 2]) : -1;

			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return -400;
			c = (char)(high << 4 | low);
			i += 2;
		}
		r->path[out++] = c;
	}
	r->path[out] = '\0';
	return 0;
}

static int parse_version(struct http_request *r, struct fields *f, struct text version)
{
	const char *v = version.start;

	if (version.length != 8 || memcmp(v, "HTTP/", 5) != 0 || !is_digit(v[5]) || v[6] != '.' ||
	    !is_digit(v[7]))
		return -400;
	if (v[5] != '1')
		return -505;
	f->minor_version = v[7] - '0';
	r->keep_alive = f->minor_version >= 1;
	return 0;
}

/* METHOD SP TARGET SP VERSION */
static int parse_request_line(struct http_request *r, struct fields *f, struct text line)
{
	struct text method = take_until(&line, ' ');
	struct text target = take_until(&line, ' ');
	int status;

	for (size_t i = 0; i < target.length; i++)
		if ((unsigned char)target.start[i] <= ' ' || target.start[i] == 0x7f)
			return -400;
	if (!is_token(method))
		return -400;
	status = parse_version(r, f, line);
	if (status < 0)
		return status;
	if (text_is(method, "GET"))
		r->method = HTTP_GET;
	else if (text_is(method, "HEAD"))
		r->method = HTTP_HEAD;
	else
		return -405;
	return parse_target(r, target);
}

/* One range in bytes; other units, several ranges and nonsense count as no range (RFC 9110,
 * section 14.2), and the whole file is sent. */
static void parse_range(struct http_request *r, struct text value)
{
	struct text first;
	uint64_t from, to = UINT64_MAX;

	if (!starts_with(value, "bytes="))
		return;
	value = trim(skip(value, strlen("bytes=")));
	if (memchr(value.start, '-', value.length) == NULL)
		return;
	first = take_until(&value, '-');
	if (first.length == 0) {
		if (!parse_number(value, &to))
			return;
		r->range = HTTP_RANGE_SUFFIX;
		r->range_last = to;
		return;
	}
	if (!parse_number(first, &from) || (value.length > 0 && !parse_number(value, &to)) ||
	    to < from)
		return;
	r->range = HTTP_RANGE_FROM;
	r->range_first = from;
	r->range_last = to;
}

static void parse_connection(struct http_request *r, const struct fields *f, struct text value)
{
	while (value.length > 0) {
		struct text option = trim(take_until(&value, ','));

		if (text_is_nocase(option, "close"))
			r->keep_alive = false;
		else if (text_is_nocase(option, "keep-alive") && f->minor_version == 0)
			r->keep_alive = true;
	}
}

static int parse_field(struct http_request *r, struct fields *f, struct text line)
{
	struct text name, value;

	/* A folded line begins with a space, and a name ends at its colon without one. */
	if (memchr(line.start, ':', line.length) == NULL)
		return -400;
	name = take_until(&line, ':');
	if (!is_token(name))
		return -400;
	value = trim(line);
	for (size_t i = 0; i < value.length; i++)
		if (((unsigned char)value.start[i] < ' ' && value.start[i] != '\t') ||
		    value.start[i] == 0x7f)
			return -400;

	if (text_is_nocase(name, "Host")) {
		f->hosts++;
	} else if (text_is_nocase(name, "Connection")) {
		parse_connection(r, f, value);
	} else if (text_is_nocase(name, "Range")) {
		parse_range(r, value);
	} else if (text_is_nocase(name, "If-Range")) {
		f->has_if_range = true;
	} else if (text_is_nocase(name, "Transfer-Encoding")) {
		f->has_encoding = true;
	} else if (text_is_nocase(name, "Content-Length")) {
		if (f->has_length || !parse_number(value, &r->body_bytes))
			return -400;
		f->has_length = true;
	}
	return 0;
}

static int check_fields(struct http_request *r, const struct fields *f)
{
	/* RFC 9112, section 3.2: exactly one Host from version 1.1 on. */
	if (f->hosts > 1 || (f->hosts == 0 && f->minor_version >= 1))
		return -400;
	/* RFC 9112, section 6.1: both together are an attempt to smuggle a request. */
	if (f->has_encoding)
		return f->has_length ? -400 : -501;
	if (r->body_bytes > HTTP_BODY_MAX)
		return -413;
	/* We hand out no validator it could match (RFC 9110, section 13.1.5): the whole file. */
	if (f->has_if_range)
		r->range = HTTP_RANGE_NONE;
	return 0;
}

int http_request_parse(struct http_request *r, const char *data, size_t length)
{
	struct fields f = {.hosts = 0};
	size_t head, blank = 0;
	struct text rest;
	int status;

	/* RFC 9112, section 2.2: empty lines before a request are ignored. */
	while (blank < length && blank < HTTP_HEAD_MAX &&
	       (data[blank] == '\r' || data[blank] == '\n'))
		blank++;

	if (length > HTTP_HEAD_MAX)
		length = HTTP_HEAD_MAX;
	rest = (struct text){data + blank, length - blank};
	if (rest.length > HTTP_LINE_MAX - 1 && memchr(rest.start, '\n', HTTP_LINE_MAX - 1) == NULL)
		return -414;
	head = head_length(rest.start, rest.length);
	if (head == 0)
		return length == HTTP_HEAD_MAX ? -431 : 0;
	rest.length = head;

	memset(r, 0, offsetof(struct http_request, path));
	status = parse_request_line(r, &f, take_line(&rest));
	while (status == 0) {
		struct text line = take_line(&rest);

		if (line.length == 0)
			break;
		status = parse_field(r, &f, line);
	}
	if (status == 0)
		status = check_fields(r, &f);
	return status < 0 ? status : (int)(blank + head);
}

/* ---- The ordinary request ----------------------------------------------- */

#define IN_NAME 1u /* a token's characters (RFC 9110, section 5.6.2) */
#define IN_PATH 2u /* what stands for itself in a path */

/* clang-format off */
static const uint8_t character[256] = {
	['!'] = IN_NAME | IN_PATH, ['"'] = IN_PATH, ['#' ... '$'] = IN_NAME | IN_PATH,
	['%'] = IN_NAME, ['&' ... '\''] = IN_NAME | IN_PATH, ['(' ... ')'] = IN_PATH,
	['*' ... '+'] = IN_NAME | IN_PATH, [','] = IN_PATH, ['-' ... '.'] = IN_NAME | IN_PATH,
	['/'] = IN_PATH, ['0' ... '9'] = IN_NAME | IN_PATH, [':' ... '>'] = IN_PATH,
	['@'] = IN_PATH, ['A' ... 'Z'] = IN_NAME | IN_PATH, ['[' ... ']'] = IN_PATH,
	['^' ... 'z'] = IN_NAME | IN_PATH, ['{'] = IN_PATH, ['|'] = IN_NAME | IN_PATH,
	['}'] = IN_PATH, ['~'] = IN_NAME | IN_PATH, [0x80 ... 0xff] = IN_PATH,
};
/* clang-format on */

static const char *skip_characters(const char *at, const char *end, uint8_t class)
{
	while (at < end && character[(uint8_t)*at] & class)
		at++;
	return at;
}

#ifdef __SSE2__
/* Which of 16 characters are controls: a bit each. */
static unsigned controls_of(const char *text)
{
	__m128i all = _mm_loadu_si128((const __m128i *)(const void *)text);
	__m128i low = _mm_cmpeq_epi8(_mm_min_epu8(all, _mm_set1_epi8(' ' - 1)), all);
	__m128i delete = _mm_cmpeq_epi8(all, _mm_set1_epi8(0x7f));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, delete));
}

/* The first control character; at least 16 characters lie before end. */
static const char *skip_text(const char *at, const char *end)
{
	unsigned controls;

	for (; end - at >= 16; at += 16) {
		controls = controls_of(at);
		if (controls != 0)
			return at + __builtin_ctz(controls);
	}
	controls = controls_of(end - 16) >> (16 - (end - at));
	return controls != 0 ? at + __builtin_ctz(controls) : end;
}
#else
static const char *skip_text(const char *at, const char *end)
{
	while (at < end && (uint8_t)*at >= ' ' && *at != 0x7f)
		at++;
	return at;
}
#endif

static bool same_nocase(const char *a, const char *lower, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((a[i] | 0x20) != lower[i])
			return false;
	return true;
}

/* Is it a field, by name, whose meaning is not understood here?  (Or one that looks like it.) */
static bool asks_for_more(const char *name, size_t length)
{
	char first = (char)(name[0] | 0x20);

	switch (length) {
	case 5:
		return first == 'r'; /* Range */
	case 8:
		return first == 'i'; /* If-Range */
	case 14:
		return first == 'c'; /* Content-Length */
	case 17:
		return first == 't'; /* Transfer-Encoding */
	default:
		return false;
	}
}

/* The field at the start of a line; false: the whole parser has to look at it. */
static bool plain_field(struct http_plain *p, unsigned *hosts, struct text name, struct text value)
{
	if (name.length == 0 || asks_for_more(name.start, name.length))
		return false;
	if (name.length == 4 && same_nocase(name.start, "host", 4))
		++*hosts;
	if (name.length != 10 || !same_nocase(name.start, "connection", 10))
		return true;
	if (text_is_nocase(value, "close"))
		p->keep_alive = false;
	return !p->keep_alive || text_is_nocase(value, "keep-alive");
}

/* From after the request line to after the empty one; NULL: not plain, or not all there. */
static const char *plain_fields(struct http_plain *p, const char *at, const char *end)
{
	unsigned hosts = 0;

	while (end - at >= 2 && !(at[0] == '\r' && at[1] == '\n')) {
		const char *colon = skip_characters(at, end, IN_NAME), *value, *last;

		if (colon == end || *colon != ':')
			return NULL;
		value = colon + 1;
		if (value < end && *value == ' ')
			value++;
		last = skip_text(value, end);
		if (end - last < 2 || last[0] != '\r' || last[1] != '\n')
			return NULL;
		if (!plain_field(p, &hosts, (struct text){at, (size_t)(colon - at)},
				 (struct text){value, (size_t)(last - value)}))
			return NULL;
		at = last + 2;
	}
	return end - at >= 2 && hosts == 1 ? at + 2 : NULL;
}

size_t http_request_parse_plain(struct http_plain *p, const char *data, size_t length)
{
	static const char version[] = " HTTP/1.1\r\n";
	const size_t version_length = sizeof(version) - 1;
	const char *end = data + (length < HTTP_HEAD_MAX ? length : HTTP_HEAD_MAX), *at;

	if (length < 5 + version_length || memcmp(data, "GET /", 5) != 0 || data[5] == '/')
		return 0;
	p->path = data + 5;
	at = skip_characters(p->path, end, IN_PATH);
	p->path_length = (size_t)(at - p->path);
	if ((size_t)(at - data) >= HTTP_LINE_MAX - version_length ||
	    (size_t)(end - at) < version_length || memcmp(at, version, version_length) != 0)
		return 0;
	p->keep_alive = true;
	at = plain_fields(p, at + version_length, end);
	return at == NULL ? 0 : (size_t)(at - data);
}

/* ---- Ranges ------------------------------------------------------------- */

int http_request_range(const struct http_request *r, uint64_t size, uint64_t *first,
		       uint64_t *count)
{
	*first = 0;
	*count = size;
	switch (r->range) {
	case HTTP_RANGE_NONE:
		return 200;
	case HTTP_RANGE_SUFFIX:
		if (r->range_last == 0 || size == 0)
			return 416;
		if (r->range_last < size) {
			*first = size - r->range_last;
			*count = r->range_last;
		}
		return 206;
	case HTTP_RANGE_FROM:
		if (r->range_first >= size)
			return 416;
		*first = r->range_first;
		*count = size - r->range_first;
		if (r->range_last - r->range_first < *count)
			*count = r->range_last - r->range_first + 1;
		return 206;
	}
	return 200;
}
