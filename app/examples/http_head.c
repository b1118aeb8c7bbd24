/* SPDX-License-Identifier: BSD-3-Clause */
#include "http_head.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void http_date_set(struct http_date *date, time_t second)
{
	struct tm tm;

	date->second = second;
	gmtime_r(&second, &tm);
	strftime(date->text, sizeof(date->text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

const char *http_status_text(int status)
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

struct writer {
	char *out;
	size_t length;
};

static void add(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct writer *w, const char *format, ...)
{
	size_t room = HTTP_RESPONSE_HEAD_MAX - w->length;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(w->out + w->length, room, format, arguments);
	va_end(arguments);
	if (length > 0)
		w->length += (size_t)length < room ? (size_t)length : room - 1;
}

size_t http_head_format(char *out, const struct http_head *h)
{
	struct http_date modified;
	struct writer w;

	w.out = out;
	w.length = 0;
	add(&w, "HTTP/1.1 %d %s\r\nServer: leat-http\r\nDate: %s\r\nConnection: %s\r\n", h->status,
	    http_status_text(h->status), h->date->text, h->close ? "close" : "keep-alive");
	if (h->status == 405)
		add(&w, "Allow: GET, HEAD\r\n");
	add(&w, "Content-Type: %s\r\nContent-Length: %" PRIu64 "\r\n",
	    h->type != NULL ? h->type : "text/plain", h->length);
	if (h->type != NULL) {
		http_date_set(&modified, h->modified);
		add(&w, "Last-Modified: %s\r\nAccept-Ranges: bytes\r\n", modified.text);
	}
	if (h->status == 206)
		add(&w, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", h->first,
		    h->first + h->length - 1, h->size);
	else if (h->status == 416)
		add(&w, "Content-Range: bytes */%" PRIu64 "\r\n", h->size);
	add(&w, "\r\n");
	return w.length;
}
