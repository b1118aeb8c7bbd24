/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP's own structs and the functions its files offer each other.
 *
 * Who may free a sock: tcp_done, and what calls it (tcp_fail, tcp_abort,
 * tcp_time_wait).  After one of them a sock that no application holds is
 * gone.  Input steps therefore return a verdict: on anything but TCP_GO_ON
 * the caller does not touch the sock any more.  Timer handlers return whether
 * the sock lives.
 */
#ifndef LEAT_TCP_TCP_SOCK_H
#define LEAT_TCP_TCP_SOCK_H

#include <netinet/tcp.h>
#include <rte_common.h>

#include "core/worker.h"
#include "lib/seq.h"
#include "net/packet.h"
#include "sock/connection.h"
#include "tcp/congestion.h"
#include "tcp/fastopen.h"
#include "tcp/flight.h"
#include "tcp/plpmtud.h"
#include "tcp/reassembly.h"
#include "tcp/rtt.h"
#include "tcp/segment.h"
#include "tcp/sending.h"
#include "tcp/shared_options.h"

/* ---- constants ----------------------------------------------------------- */

#define TCP_MSS_DEFAULT_BYTES 536u /* RFC 9293 section 3.7.1 (MUST-15) */
#define TCP_MSS_MIN_BYTES     88u /* below that headers cost more than data; smaller is refused */
#define TCP_IPV4_HEADERS      40u
#define TCP_WINDOW_MAX        65535u

#define TCP_SYN_RETRIES       7 /* RFC 9293 section 3.8.3 (MUST-23): 3 minutes at least; 247 s */
#define TCP_SYNACK_RETRIES    5 /* a request goes after 63 s */
#define TCP_RETRIES_DOUBT     3 /* RFC 9293 section 3.8.3: R1 (SHLD-10) */
#define TCP_RETRIES           15 /* RFC 9293 section 3.8.3: R2, more than 100 s */
#define TCP_DELACK_MS         40 /* RFC 9293 section 3.8.6.3: less than 500 ms */
#define TCP_QUICK_ACKS        16 /* at once, where the peer's window is small: they would hold it up */
#define TCP_FIRST_ACK         (TCP_QUICK_ACKS + 1) /* of a new connection: the first one can wait ... */
#define TCP_ANSWER_MS         1 /* ... so long, for the answer */
#define TCP_DUPACK_LIMIT      3
#define TCP_PROBE_SLACK_MS    2u /* the peer's clock ticks, and ours */
#define TCP_PROBE_ACK_DELAY_MS \
	200u /* RFC 8985's TLP.max_ack_delay: a lone segment's ACK may wait */
#define TCP_PERSIST_MAX_MS  60000u
#define TCP_ORPHAN_MS       100000u /* R2 of a connection no application holds */
#define TCP_FIN_TIMEOUT_MS  60000u /* FIN-WAIT-2 without an application */
#define TCP_TIME_WAIT_MS    60000u /* 2 MSL */
#define TCP_PAWS_IDLE_MS    (24u * 24 * 3600 * 1000) /* RFC 7323 section 5.5 */
#define TCP_CHALLENGE_LIMIT 10 /* RFC 5961 section 7: challenge ACKs of a connection ... */
#define TCP_CHALLENGE_MS    5000u /* ... in so much time */
#define TCP_COOKIE_LIFE_US  120000000u /* the longest that a SYN cookie is good */
#define TCP_IDLE_MAX_MS     4000000u /* of what is told to congestion control: 32 bits of us */
#define TCP_CORK_MS         200u /* how long what is corked waits, with nothing in flight; as Linux */
#define TCP_LINGER2_MAX_S   120
#define TCP_CLAMP_MIN_BYTES 1152 /* least TCP_WINDOW_CLAMP: half of the least SO_RCVBUF, as Linux */
#define TCP_KEEP_IDLE_S     7200
#define TCP_KEEP_INTERVAL_S 75
#define TCP_KEEP_COUNT      9

/* ---- verdicts of input steps ---------------------------------------------- */

/* The next step takes it. */
#define TCP_GO_ON ((enum counter)(CNT_MAX + 1))
/* The segment did its work. */
#define TCP_ACCEPTED CNT_MAX
/* Anything else: it dies under this reason. */

/* ---- structs --------------------------------------------------------------- */

/* In the order in which those that are due at one time run. */
enum tcp_timer {
	TCP_TIMER_LOSS, /* RACK's reordering timer or, with TCP_SOCK_PROBE_DUE, TLP's */
	TCP_TIMER_RETRANSMIT, /* RTO, or zero-window probes */
	TCP_TIMER_DELACK,
	TCP_TIMER_IDLE, /* keepalive, or FIN-WAIT-2 without an application */
	TCP_TIMERS
};

enum tcp_sock_flag {
	TCP_SOCK_ACK_NOW = 1u << 0, /* output sends at least an ACK */
	TCP_SOCK_SEND_SYN = 1u << 1, /* output sends the SYN or SYN-ACK */
	TCP_SOCK_FORCE = 1u << 2, /* output sends one segment whatever Nagle and SWS say */
	TCP_SOCK_FIN_QUEUED = 1u << 3, /* the stream ends at write_end */
	TCP_SOCK_SYN_RESENT = 1u << 4, /* the handshake needed a retransmission */
	TCP_SOCK_NODELAY = 1u << 5,
	TCP_SOCK_WINDOW_ASKED = 1u << 6, /* the application will tell when it has read */
	TCP_SOCK_CWND_LIMITED = 1u << 7, /* the last output ended because cwnd was used up */

	/* negotiated */
	TCP_SOCK_TIMESTAMPS = 1u << 8,
	TCP_SOCK_SACK = 1u << 9,
	TCP_SOCK_ECN = 1u << 10,

	/* recovery */
	TCP_SOCK_RTT_TAKEN = 1u << 11, /* a round trip was measured since the last loss probe */
	TCP_SOCK_PROBE_DUE = 1u << 12, /* TCP_TIMER_LOSS sends a loss probe */
	TCP_SOCK_PROBE_SENT = 1u << 13, /* until probe_end is acknowledged */
	TCP_SOCK_PROBE_RESENT = 1u << 14, /* it was old data */
	TCP_SOCK_UNDO = 1u << 15, /* the reduction of this recovery may be taken back */
	TCP_SOCK_FRTO = 1u << 16, /* after a timeout: was it spurious? (RFC 5682) */
	TCP_SOCK_PREFER_NEW = 1u << 17, /* output sends new data before what is lost (RFC 5682) */

	/* ECN, RFC 3168 section 6.1 */
	TCP_SOCK_ECN_ECHO = 1u << 18, /* the ACKs we send carry ECE */
	TCP_SOCK_ECN_CWR = 1u << 19, /* the next new data carries CWR */
	TCP_SOCK_DSACK = 1u << 20, /* the next ACK tells of a duplicate, dsack_start to dsack_end */
	TCP_SOCK_ECN_SEEN = 1u << 21, /* the peer's packets were ECN-capable */

	TCP_SOCK_CORK = 1u << 22, /* TCP_CORK: only full segments go, for a while */
	TCP_SOCK_URGENT = 1u << 23, /* snd_up counts */

	/* Fast Open, RFC 7413 */
	TCP_SOCK_FASTOPEN = 1u << 24, /* SYN-RECEIVED: in use already; snd_una is past our SYN */
	TCP_SOCK_FASTOPEN_CONNECT = 1u << 25, /* TCP_FASTOPEN_CONNECT */
	TCP_SOCK_DEFERRED = 1u << 26, /* SYN-SENT: the SYN waits for the first bytes written */
	TCP_SOCK_FASTOPEN_SENT = 1u << 27, /* our SYN had the option */
};

/* Flags that are options: they outlive a connection, and an accepted one has its listener's. */
#define TCP_SOCK_OPTIONS ((uint32_t)(TCP_SOCK_NODELAY | TCP_SOCK_CORK | TCP_SOCK_FASTOPEN_CONNECT))

/* Why the window is being reduced. */
enum tcp_recovery {
	RECOVERY_NONE,
	RECOVERY_ECN, /* the path said so: nothing is lost */
	RECOVERY_FAST,
	RECOVERY_TIMEOUT,
};

/* What the application read in a round trip. */
struct tcp_round {
	uint32_t offset; /* in the stream, where it began; low 32 bits */
	uint32_t start_us;
	uint32_t bytes; /* of the best round so far */
};

struct tcp_sock {
	struct inet_connection_sock ics;

	/* hot: sender */
	uint32_t snd_una; /* oldest unacknowledged; stream offset ring.tx_head after the SYN */
	uint32_t snd_nxt; /* after the highest ever sent */
	uint32_t snd_wnd; /* peer's window in bytes */
	uint32_t snd_wl1; /* seq and ... */
	uint32_t snd_wl2; /* ... ack of the segment that set it */
	uint32_t snd_small; /* after the last segment below a full one (Minshall's Nagle) */
	uint32_t mss_bytes; /* payload of a full segment */
	uint32_t dupacks; /* duplicate ACKs in a row, of a peer without SACK */

	/* hot: receiver */
	uint32_t rcv_nxt; /* next expected; stream offset ring.rx_tail until the FIN */
	uint32_t rcv_edge; /* first not offered; never moves back */
	uint32_t rcv_acked; /* rcv_nxt in the last segment sent: RFC 7323's Last.ACK.sent */
	uint32_t rcv_time_ms; /* when the last segment came */
	uint32_t ts_recent; /* RFC 7323 */
	uint32_t ts_offset; /* of our timestamp clock */
	uint32_t flags; /* enum tcp_sock_flag */
	uint16_t rcv_mss_bytes; /* largest segment received: what counts as a full one */
	uint8_t snd_scale;
	uint8_t rcv_scale;

	/* hot: timers; the wheel's entry is ics.timer, at or before the earliest deadline */
	uint32_t deadline_ms[TCP_TIMERS];
	uint8_t timers; /* bit per enum tcp_timer: armed */
	uint8_t backoff; /* timeouts in a row without progress */
	uint8_t probes; /* keepalive or zero-window probes nobody answered */
	uint8_t recovery; /* enum tcp_recovery */
	uint8_t quick_acks; /* so many more ACKs are not delayed */
	uint8_t challenges; /* challenge ACKs since challenge_ms */
	uint8_t defer_retries; /* TCP_DEFER_ACCEPT of a listener, in time-outs of the SYN-ACK */
	uint8_t syn_data : 1; /* data came with the peer's SYN, or it took what ours brought */
	uint8_t fastopen_fail : 7; /* Linux's enum tcp_fastopen_client_fail, for TCP_INFO */

	/* hot: what others keep for it */
	union {
		struct reassembly *reassembly; /* NULL: nothing out of order */
		LIST_HEAD(, request_sock) requests; /* of a listener */
	};
	struct tcp_sending *sending; /* NULL: nothing is in flight, nor was it lately */
	const struct tcp_options *options; /* shared with others */
	const struct congestion_ops *congestion_ops;

	/* each segment sent, each ACK */
	uint32_t sent_ms; /* when data was last sent */
	uint32_t progress_ms; /* since when the oldest byte waits to be acknowledged or sent */
	struct rtt rtt;
	struct min_rtt min_rtt;
	struct tcp_round read_round;
	struct plpmtud plpmtud; /* how large packets may be */
	uint32_t snd_wnd_max; /* largest window the peer ever offered */
	uint32_t segments_in; /* these two for TCP_INFO */
	uint32_t segments_out;

	/* cold: sender */
	struct tcp_rest rest; /* while sending is NULL */
	uint32_t write_end; /* TCP_SOCK_FIN_QUEUED: sequence number of our FIN */
	uint32_t syn_us; /* when the SYN was sent */
	uint32_t snd_up; /* TCP_SOCK_URGENT: sequence number after our urgent data */
	uint32_t resent_segments; /* for TCP_INFO, and so is this */
	uint64_t resent_bytes;

	/* cold: receiver */
	uint64_t rcv_up; /* offset in the receive ring after the peer's urgent data; 0: never any */
	uint32_t dsack_start; /* TCP_SOCK_DSACK */
	uint32_t dsack_end;
	uint32_t challenge_ms; /* the interval of TCP_CHALLENGE_MS in which challenges count */

	/* cold: the handshake */
	uint16_t peer_mss_bytes;
	uint16_t syn_bytes; /* data that went with our SYN */
	struct fastopen_queue *fastopen; /* a listener's own; TCP_SOCK_FASTOPEN: that counts us */
};
_Static_assert(sizeof(struct tcp_sock) == 10 * RTE_CACHE_LINE_SIZE, "parents included");
_Static_assert(offsetof(struct tcp_sock, snd_una) == 6 * RTE_CACHE_LINE_SIZE &&
		       offsetof(struct tcp_sock, deadline_ms) == 7 * RTE_CACHE_LINE_SIZE &&
		       offsetof(struct tcp_sock, rtt) == 8 * RTE_CACHE_LINE_SIZE &&
		       offsetof(struct tcp_sock, rest) <= 9 * RTE_CACHE_LINE_SIZE,
	       "sequence numbers; timers and pointers; measurements: adjacent lines");

/* A half-open connection: in sock_table and on its listener's list. */
struct request_sock {
	struct flow flow;
	struct dst dst;
	struct timer timer; /* SYN-ACK again */
	struct tcp_sock *listener;
	LIST_ENTRY(request_sock) link;
	uint64_t sent_us; /* first SYN-ACK */
	uint64_t acked_us; /* first ACK of it, which waits for data (TCP_DEFER_ACCEPT); 0: none */
	uint32_t iss;
	uint32_t irs;
	uint32_t window; /* as the SYN had it, unscaled */
	uint32_t rcv_window; /* as the SYN-ACK has it */
	uint32_t ts_recent;
	uint32_t ts_offset;
	uint16_t peer_mss_bytes;
	int8_t snd_scale; /* -1: the peer does not scale */
	uint8_t rcv_scale;
	uint8_t retries;
	uint8_t challenges; /* challenge ACKs sent in the interval of TCP_CHALLENGE_MS ... */
	uint32_t challenge_ms; /* ... that began then */
	bool resent; /* the SYN-ACK, for want of an ACK */
	bool timestamps;
	bool sack;
	bool ecn;
	bool grants_cookie; /* the next SYN-ACK has a Fast Open cookie */
};

/* What is left of a connection for 2 MSL: in sock_table and in the FIFO. */
struct time_wait {
	TAILQ_ENTRY(time_wait) link;
	struct flow flow;
	struct dst dst;
	uint32_t snd_nxt;
	uint32_t rcv_nxt;
	uint32_t rcv_window;
	uint32_t ts_recent;
	uint32_t ts_offset;
	uint32_t expiry_ms;
	uint16_t window; /* as last advertised, scaled down */
	bool timestamps;
};
TAILQ_HEAD(time_wait_queue, time_wait);

struct pool;

struct tcp_worker {
	struct pool *socks; /* struct tcp_sock, listeners too */
	struct pool *requests;
	struct pool *time_waits;
	struct pool *reassemblies;
	struct pool *many_ranges; /* for the few that have very many gaps */
	struct pool *sendings; /* of connections that send */
	struct pool *congestions; /* state of algorithms that keep much */
	struct shared_options_table options;
	struct shared_options default_options;
	struct flight_pool flights; /* records of what is in flight */
	struct time_wait_queue time_wait_queue; /* oldest first */
	struct timer time_wait_timer;
	uint64_t cookie_us; /* when a SYN cookie was last sent; 0: never */
	struct siphash_key fastopen_key; /* of cookies we give; all workers have the same */
	struct pool *fastopen_queues; /* of listeners, and those whose listener is gone */
	struct fastopen_cache fastopen_cache; /* cookies we were given */
};

static inline struct tcp_sock *tcp_sk(struct sock *sk)
{
	return container_of(sk, struct tcp_sock, ics.inet.sk);
}

static inline struct sock *tcp_sock_sk(struct tcp_sock *tp)
{
	return &tp->ics.inet.sk;
}

static inline uint8_t tcp_state(const struct tcp_sock *tp)
{
	return tp->ics.inet.sk.state;
}

/* Is snd_una our SYN, so that the stream begins after it? */
static inline bool tcp_syn_is_unacked(const struct tcp_sock *tp)
{
	return tcp_state(tp) == TCP_SYN_SENT ||
	       (tcp_state(tp) == TCP_SYN_RECV && !(tp->flags & TCP_SOCK_FASTOPEN));
}

/* A set of states, for questions of the form "is it one of". */
#define TCP_STATE(s) (1u << (s))

/* States in which the peer knows the connection, so that an abort sends RST. */
#define TCP_STATES_KNOWN                                                                   \
	(TCP_STATE(TCP_SYN_RECV) | TCP_STATE(TCP_ESTABLISHED) | TCP_STATE(TCP_FIN_WAIT1) | \
	 TCP_STATE(TCP_FIN_WAIT2) | TCP_STATE(TCP_CLOSE_WAIT) | TCP_STATE(TCP_CLOSING) |   \
	 TCP_STATE(TCP_LAST_ACK))

static inline bool tcp_state_in(const struct tcp_sock *tp, unsigned states)
{
	return (states >> tcp_state(tp) & 1) != 0;
}

/* ---- state.c ---- */

/* Every change of state; asserts that it is a legal one. */
void tcp_set_state(struct tcp_sock *tp, uint8_t state);
bool tcp_sock_is_sane(const struct worker *w, const struct tcp_sock *tp);

/* ---- sock.c: life and death ---- */

/* A closed sock with its defaults; NULL: pool empty. */
struct tcp_sock *tcp_sock_create(struct worker *w, uint8_t family);
/* The state machine ended: leaves every table, frees the sock when no application holds it. */
void tcp_done(struct worker *w, struct tcp_sock *tp);
/* The same, telling the application this error first. */
void tcp_fail(struct worker *w, struct tcp_sock *tp, int error);
/* Sends RST where the peer knows the connection, then tcp_done. */
void tcp_abort(struct worker *w, struct tcp_sock *tp);
int tcp_shutdown(struct worker *w, struct sock *sk, int how);
void tcp_close(struct worker *w, struct sock *sk, bool abort);
/* The connection is established: SYN sent and acknowledged, peer's SYN received. */
void tcp_established(struct worker *w, struct tcp_sock *tp);
/* What of that the application's data needs; a Fast Open does not wait for the rest. */
void tcp_open_stream(struct worker *w, struct tcp_sock *tp);
/* Payload of a full segment, from the peer's MSS, the path's MTU and our options. */
void tcp_update_mss(struct tcp_sock *tp);
/* What is advertised to a peer behind this MTU. */
uint16_t tcp_advertised_mss(const struct tcp_sock *tp, uint16_t mtu);

/* Is our FIN sent and acknowledged? */
static inline bool tcp_fin_is_acked(const struct tcp_sock *tp)
{
	return tp->flags & TCP_SOCK_FIN_QUEUED && seq_gt(tp->snd_una, tp->write_end);
}

/* ---- sending.c ---- */

/* Before something is sent: does the sock have its struct tcp_sending now?  False: there are as many
 * as may be (counted). */
bool tcp_sending_take(struct worker *w, struct tcp_sock *tp);
/* The same where new data is to go: if not now, output comes by again. */
bool tcp_sending_begin(struct worker *w, struct tcp_sock *tp);
/* The connection is over, or begins. */
void tcp_sending_drop(struct worker *w, struct tcp_sock *tp);
/* proto->rest: gives it back after a pause. */
bool tcp_rest(struct worker *w, struct sock *sk);
/* Chooses how congestion is controlled, now or later; 0 or -ENOBUFS: no state left. */
int tcp_set_congestion(struct worker *w, struct tcp_sock *tp, const struct congestion_ops *ops);
/* At rest, too: what it will begin with. */
uint32_t tcp_cwnd_bytes(const struct tcp_sock *tp);
uint32_t tcp_ssthresh_bytes(const struct tcp_sock *tp);

/* ---- isn.c ---- */

/* The same for each connection between two ends; its halves tell nothing of each other. */
uint64_t tcp_flow_secret(const struct worker *w, const struct flow *flow);
uint32_t tcp_initial_sequence(const struct worker *w, uint64_t secret);
/* So that timestamps grow from one incarnation to the next. */
static inline uint32_t tcp_timestamp_offset(uint64_t secret)
{
	return (uint32_t)(secret >> 32);
}

/* ---- cookie.c: half-open connections that need no memory ---- */

/* The initial sequence number that tells what req holds, but for what the timestamp tells. */
uint32_t tcp_cookie_make(const struct worker *w, const struct request_sock *req);
/* The peer's MSS, if cookie was made of this not long ago; else 0. */
uint16_t tcp_cookie_check(const struct worker *w, const struct flow *flow, uint32_t irs,
			  uint32_t cookie);
/* A timestamp just before now that tells of req's scale, SACK and ECN; and what it told. */
uint32_t tcp_cookie_timestamp(const struct request_sock *req, uint32_t now);
void tcp_cookie_read_timestamp(uint32_t echo, struct tcp_segment *syn);

/* ---- handshake.c ---- */

int tcp_listen(struct worker *w, struct sock *sk, int backlog);
/* Ends a listener's half-open and unclaimed connections and frees its state. */
void tcp_listen_stop(struct worker *w, struct tcp_sock *tp);
int tcp_connect(struct worker *w, struct sock *sk, const struct leat_addr *addr);
/* A segment that belongs to no connection. */
enum counter tcp_rx_unknown(struct worker *w, struct packet *p);
/* A SYN for a listener; iss: the sequence number to use, 0: a fresh one. */
enum counter tcp_rx_listen(struct worker *w, struct tcp_sock *listener, struct packet *p,
			   uint32_t iss);
enum counter tcp_rx_request(struct worker *w, struct request_sock *req, struct packet *p);
enum counter tcp_rx_syn_sent(struct worker *w, struct tcp_sock *tp, struct packet *p);
void tcp_request_error(struct worker *w, struct request_sock *req, uint32_t sequence, int error);

/* Our SYN was acknowledged, and of its data what lies before ack. */
void tcp_syn_acked(struct worker *w, struct tcp_sock *tp, uint32_t ack);

/* ---- fastopen_sock.c: RFC 7413 ---- */

enum tcp_fastopen_verdict {
	FASTOPEN_ORDINARY,
	FASTOPEN_GRANT, /* the SYN-ACK of an ordinary handshake gives a cookie */
	FASTOPEN_ACCEPT, /* the connection may be used from now on */
};

/* What becomes of a SYN for a listener. */
enum tcp_fastopen_verdict tcp_fastopen_listen(struct worker *w, struct tcp_sock *listener,
					      const struct packet *p);
/* child counts as pending at its listener, until tcp_fastopen_leave. */
void tcp_fastopen_enter(struct tcp_sock *listener, struct tcp_sock *child);
/* Its handshake ended; reset: by RST.  No effect on any other sock. */
void tcp_fastopen_leave(struct worker *w, struct tcp_sock *child, bool reset);
/* listener accepts no more. */
void tcp_fastopen_unlisten(struct worker *w, struct tcp_sock *listener);
/* The SYN once more: its SYN-ACK was lost, or is late. */
bool tcp_fastopen_is_old_syn(const struct tcp_sock *tp, const struct tcp_segment *seg);
/* The ACK of the SYN-ACK. */
void tcp_fastopen_opened(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg);
/* A cookie of ours for the SYN-ACK. */
void tcp_fastopen_fill_cookie(const struct worker *w, const struct flow *flow,
			      struct tcp_segment *synack);

/* connect, with a cookie at hand: the SYN is put off until there is data.  False: it goes now. */
bool tcp_fastopen_defer(struct worker *w, struct tcp_sock *tp);
/* Bytes were written, or never will be. */
void tcp_fastopen_start(struct worker *w, struct tcp_sock *tp);
/* In SYN-SENT: has the application written? */
bool tcp_fastopen_has_data(const struct tcp_sock *tp);
/* Adds the option to our SYN where it is wanted; how many bytes go with it. */
uint32_t tcp_fastopen_fill_syn(struct worker *w, struct tcp_sock *tp, struct tcp_segment *syn);
/* The SYN-ACK to our SYN, before tcp_syn_acked. */
void tcp_fastopen_answered(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *synack);
/* The path takes no more than mtu: in SYN-SENT the SYN goes again at once, without data. */
void tcp_fastopen_too_big(struct worker *w, struct tcp_sock *tp, uint16_t mtu);
/* Nothing answered our SYN, or ICMP did. */
void tcp_fastopen_syn_lost(struct worker *w, struct tcp_sock *tp);

/* ---- plain.c ---- */

/* A segment of a connection: the fast path, else tcp_rx_any. */
enum counter tcp_rx_segment(struct worker *w, struct tcp_sock *tp, struct packet *p);

/* ---- input.c ---- */

/* The spine, for any segment; but it is not counted in segments_in. */
enum counter tcp_rx_any(struct worker *w, struct tcp_sock *tp, struct packet *p);
/* length bytes of text in order have come: an ACK, now or a little later. */
void tcp_schedule_ack(struct worker *w, struct tcp_sock *tp, uint32_t length);

/* RFC 7323 section 4.3: the timestamp to echo is that of the segment that our last ACK was for. */
static inline void tcp_take_timestamp(struct tcp_sock *tp, const struct tcp_segment *seg)
{
	if (tp->flags & TCP_SOCK_TIMESTAMPS && seg->has_timestamp &&
	    seq_le(seg->seq, tp->rcv_acked))
		tp->ts_recent = seg->ts_value;
}

/* After a pause as long as a timeout a full segment is the first of a small window, which delayed
 * ACKs would hold up. */
static inline void tcp_take_time(const struct worker *w, struct tcp_sock *tp,
				 const struct tcp_segment *seg)
{
	if (w->now_ms - tp->rcv_time_ms >= RTO_MIN_MS && seg->length >= tp->rcv_mss_bytes)
		tp->quick_acks = TCP_QUICK_ACKS;
	tp->rcv_time_ms = w->now_ms;
}

/* Steps 6 to 8, of a segment that begins at rcv_nxt or is trimmed to it: text and FIN. */
enum counter tcp_rx_text_and_fin(struct worker *w, struct tcp_sock *tp, struct packet *p);
/* Step 1: does seg lie in the window, or touch it? */
bool tcp_segment_is_acceptable(const struct tcp_segment *seg, uint32_t rcv_nxt, uint32_t window);

/* Forgets what is out of order. */
void tcp_reassembly_free(struct worker *w, struct tcp_sock *tp);

/* ---- ack.c ---- */

/* What one ACK told, for the steps that look at it. */
struct tcp_ack {
	const struct tcp_segment *segment;
	struct flight_delivery delivered;
	uint32_t prior_una;
	uint32_t prior_in_flight;
	uint64_t prior_lost; /* flight.lost */
	bool advanced; /* acknowledges something new cumulatively */
	bool duplicate; /* a duplicate ACK by RFC 5681's definition */
	bool dsack;
};

/* Step 5: the ACK field. */
enum counter tcp_rx_ack(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg);
/* The peer offers another window than before. */
void tcp_change_window(struct worker *w, struct tcp_sock *tp, uint32_t window);
/* Takes the window a segment offers, when it is newer than the one we have. */
static inline void tcp_update_window(struct worker *w, struct tcp_sock *tp,
				     const struct tcp_segment *seg)
{
	uint32_t window = (uint32_t)seg->window << tp->snd_scale;

	if (!(seq_lt(tp->snd_wl1, seg->seq) ||
	      (tp->snd_wl1 == seg->seq && seq_le(tp->snd_wl2, seg->ack))))
		return;
	tp->snd_wl1 = seg->seq;
	tp->snd_wl2 = seg->ack;
	if (window != tp->snd_wnd)
		tcp_change_window(w, tp, window);
}
/* seg acknowledges something new, or selectively. */
void tcp_ack_take(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg,
		  bool duplicate);
/* The same of a plain segment: seg acknowledges something new, a FIN perhaps, and says nothing else,
 * and nothing is being recovered. */
void tcp_ack_take_plain(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg);
/* Tells congestion control what an ACK delivered.  newest: of that, what was sent last; NULL: that
 * cannot be told.  The caller has filled c with what this ACK alone knows. */
void tcp_tell_congestion(struct worker *w, struct tcp_sock *tp, struct congestion_ack *c,
			 const struct flight_record *newest);
static inline void tcp_take_rtt(struct tcp_sock *tp, uint32_t sample_us)
{
	rtt_sample(&tp->rtt, sample_us);
	tp->flags |= TCP_SOCK_RTT_TAKEN;
}
/* Only what is acknowledged in order makes the window larger, and only one that was in use: was
 * it? */
static inline bool tcp_window_was_used(const struct tcp_sock *tp, uint32_t prior_in_flight)
{
	const struct congestion *c = &tp->sending->congestion;

	/* In slow start half is enough: it doubles in a round trip. */
	return tp->flags & TCP_SOCK_CWND_LIMITED ||
	       (c->cwnd_bytes < c->ssthresh_bytes && prior_in_flight >= c->cwnd_bytes / 2);
}
/* The SYN's round trip ended. */
void tcp_measure_syn(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg);

/* ---- recovery.c: losses and what follows from them ---- */

/* Bytes believed to be in the network, of a sock that sends. */
static inline uint32_t tcp_in_flight(const struct tcp_sock *tp)
{
	uint32_t pipe = flight_pipe(&tp->sending->flight, tp->snd_una, tp->snd_nxt);

	if (likely(tp->dupacks == 0))
		return pipe;
	/* Each duplicate ACK of a peer without SACK stands for a segment that arrived. */
	return pipe - RTE_MIN(pipe, tp->dupacks * tp->mss_bytes);
}
/* An ACK was taken: finds losses, begins and ends recovery, moves the window during it. */
void tcp_recovery_ack(struct worker *w, struct tcp_sock *tp, struct tcp_ack *a);
/* The retransmission timer ran out; again: not for the first time in a row. */
void tcp_recovery_timeout(struct worker *w, struct tcp_sock *tp, bool again);
/* TCP_TIMER_LOSS ran out. */
void tcp_recovery_timer(struct worker *w, struct tcp_sock *tp);
/* A segment that was sent before is sent again. */
void tcp_recovery_resent(struct worker *w, struct tcp_sock *tp, uint32_t index, uint32_t length);
/* Arms the loss probe (RFC 8985 section 7.2) where one is due. */
void tcp_probe_schedule(struct worker *w, struct tcp_sock *tp);

/* Do the flags of a SYN or SYN-ACK, from a peer we may use it with, agree to ECN? */
bool tcp_ecn_agreed(const struct worker *w, const struct congestion_ops *ops, uint16_t flags);

static inline bool tcp_has_sack(const struct tcp_sock *tp)
{
	return (tp->flags & TCP_SOCK_SACK) != 0;
}

/* ---- path_mtu.c: how large packets may be ---- */

/* The peer's SYN has come, and inet.dst leads to it. */
void tcp_mtu_init(const struct worker *w, struct tcp_sock *tp);
/* inet.dst was looked up again. */
void tcp_mtu_route_changed(struct worker *w, struct tcp_sock *tp);
/* The payload of a probe for a larger MTU, if one is to go now; 0: none. */
uint32_t tcp_mtu_probe_bytes(const struct worker *w, struct tcp_sock *tp);
void tcp_mtu_probe_sent(struct worker *w, struct tcp_sock *tp, uint32_t payload_bytes);
/* So many bytes were found lost just now: was it the probe, and nothing else?  That is no
 * congestion (RFC 4821 section 7.6.2). */
bool tcp_mtu_probe_is_lost(struct worker *w, struct tcp_sock *tp, uint64_t lost_bytes);
/* This record goes again: if it is the probe, what arrives tells nothing. */
void tcp_mtu_resent(struct worker *w, struct tcp_sock *tp, uint32_t index);
/* An ACK delivered something. */
void tcp_mtu_ack(struct worker *w, struct tcp_sock *tp, const struct flight_delivery *d);
/* The packet of a segment with so much payload, of a full one at most. */
static inline uint16_t tcp_packet_bytes(const struct tcp_sock *tp, uint32_t payload_bytes)
{
	uint32_t option_bytes = tp->flags & TCP_SOCK_TIMESTAMPS ? TCP_TIMESTAMP_BYTES : 0;

	return (uint16_t)(TCP_IPV4_HEADERS + option_bytes + RTE_MIN(payload_bytes, tp->mss_bytes));
}
/* Does plpmtud learn from an ACK?  Not in the ordinary case: nothing larger than before arrived. */
static inline bool tcp_mtu_learns(const struct tcp_sock *tp, const struct flight_delivery *d)
{
	const struct plpmtud *p = &tp->plpmtud;

	return d->mtu_probe || p->claimed != 0 || tcp_packet_bytes(tp, d->largest_bytes) > p->acked;
}
/* The retransmission timer ran out; backoff does not count it yet. */
void tcp_mtu_timeout(struct worker *w, struct tcp_sock *tp);
/* An ICMP "fragmentation needed" about something in flight. */
void tcp_mtu_message(struct worker *w, struct tcp_sock *tp, uint16_t mtu);

/* ---- window.c: the window we offer ---- */

static inline uint32_t tcp_window_bound(const struct tcp_sock *tp)
{
	uint32_t rcvbuf_bytes = tp->ics.inet.sk.rcvbuf_bytes;
	uint32_t clamp_bytes = tp->options->window_clamp_bytes;

	return unlikely(clamp_bytes != 0) ? RTE_MIN(rcvbuf_bytes, clamp_bytes) : rcvbuf_bytes;
}

/* tcp_window_field where the window may be worth opening. */
uint16_t tcp_window_field_slow(struct worker *w, struct tcp_sock *tp);

/* The window field of the segment about to be sent; opens the window when that is worth it. */
static inline uint16_t tcp_window_field(struct worker *w, struct tcp_sock *tp)
{
	uint32_t rcvbuf_bytes = tp->ics.inet.sk.rcvbuf_bytes;
	uint32_t offered = tp->rcv_edge - tp->rcv_nxt;
	uint32_t gain = rcvbuf_bytes - offered; /* at most; huge beyond the edge */

	if (likely(gain < tp->mss_bytes && gain < rcvbuf_bytes / 2))
		return (uint16_t)(offered >> tp->rcv_scale);
	return tcp_window_field_slow(w, tp);
}

/* The largest window we could offer. */
static inline uint32_t tcp_window_limit(const struct tcp_sock *tp)
{
	return RTE_MIN(tcp_window_bound(tp), TCP_WINDOW_MAX << tp->rcv_scale);
}

/* The window offered may be small: then asks the application to tell when it has read. */
void tcp_window_watch_small(struct worker *w, struct tcp_sock *tp);
static inline void tcp_window_watch(struct worker *w, struct tcp_sock *tp)
{
	/* Half of what could be offered, or less: the limit is not more than the buffer. */
	if (unlikely(tp->rcv_edge - tp->rcv_nxt < tp->ics.inet.sk.rcvbuf_bytes / 2))
		tcp_window_watch_small(w, tp);
}
/* The application has read: tells the peer, when the window grew by enough. */
void tcp_window_reopen(struct worker *w, struct tcp_sock *tp);
uint8_t tcp_window_scale(const struct worker *w, const struct sock *sk);

/* ---- buffer.c: how large the buffers are ---- */

/* A round trip's time, as the receiver knows it: sampled when something was sent, last in the
 * handshake at least. */
static inline uint32_t tcp_round_trip_us(const struct tcp_sock *tp)
{
	return RTE_MAX(rtt_smoothed_us(&tp->rtt), RTT_CLOCK_US);
}

/* A round trip of read_round is over. */
void tcp_tune_rcvbuf_round(struct worker *w, struct tcp_sock *tp);

/* The receive ring was synced: has the application read more in this round trip than before? */
static inline void tcp_tune_rcvbuf(struct worker *w, struct tcp_sock *tp)
{
	if ((uint32_t)w->now_us - tp->read_round.start_us >= tcp_round_trip_us(tp))
		tcp_tune_rcvbuf_round(w, tp);
}
/* The congestion window may have grown. */
void tcp_tune_sndbuf(struct worker *w, struct tcp_sock *tp);

/* ---- output.c ---- */

/* Is what does not fill a segment to wait, because of TCP_CORK or MSG_MORE? */
static inline bool tcp_is_corked(const struct tcp_sock *tp)
{
	return tp->flags & TCP_SOCK_CORK || tp->ics.inet.sk.tx_more == tp->ics.inet.sk.ring.tx_tail;
}

void tcp_output(struct worker *w, struct sock *sk);
/* Bytes per second that may be sent; 0: not paced.  Of a sock that sends. */
static inline uint64_t tcp_pacing_rate(const struct tcp_sock *tp)
{
	uint64_t rate = tp->sending->congestion.pacing_rate;
	uint64_t limit = tp->options->max_pacing_rate;

	if (likely(limit == 0))
		return rate;
	return rate == 0 ? limit : RTE_MIN(rate, limit);
}
/* proto->tx_limit: what is not sent yet stays below TCP_NOTSENT_LOWAT. */
void tcp_tx_limit(const struct sock *sk, uint32_t *limit_bytes, uint32_t *mark_bytes);
/* An ACK at the next output. */
void tcp_ack_now(struct worker *w, struct tcp_sock *tp);
/* An ACK at once, for who is about to forget the sock. */
void tcp_tx_ack(struct worker *w, struct tcp_sock *tp);
/* RFC 5961: an ACK as answer to a suspicious segment, within the connection's limit. */
void tcp_challenge_ack(struct worker *w, struct tcp_sock *tp);
void tcp_tx_reset(struct worker *w, struct tcp_sock *tp);
/* RFC 8985 section 7.3: a segment of new data, else the last one sent once more. */
void tcp_tx_loss_probe(struct worker *w, struct tcp_sock *tp);
/* A keepalive probe; of a sock that sends, one byte (or the FIN) into a closed window. */
void tcp_tx_keepalive(struct worker *w, struct tcp_sock *tp);
void tcp_tx_window_probe(struct worker *w, struct tcp_sock *tp);
/* RFC 9293 section 3.10.7.1: RST in answer to p, which belongs to no connection. */
void tcp_tx_reset_unknown(struct worker *w, struct packet *p);
/* A segment without data and without a sock. */
void tcp_tx_bare(struct worker *w, const struct flow *flow, struct dst *dst,
		 const struct tcp_segment *seg);
/* Is there a byte or the FIN to send from snd_nxt on? */
bool tcp_has_unsent(const struct tcp_sock *tp);

/* ---- urgent.c: RFC 9293 section 3.8.5 ---- */

/* Step 6: the peer tells where its urgent data ends. */
void tcp_rx_urgent(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg);
/* Did the application write urgent data?  Then it is told with the next segment. */
void tcp_urgent_look(struct worker *w, struct tcp_sock *tp);
/* The urgent pointer of a segment about to be sent. */
void tcp_urgent_fill(struct tcp_sock *tp, struct tcp_segment *seg);

/* Is there urgent data of ours that the peer has not acknowledged? */
static inline bool tcp_is_urgent(const struct tcp_sock *tp)
{
	return unlikely(tp->flags & TCP_SOCK_URGENT) && seq_gt(tp->snd_up, tp->snd_una);
}

/* ---- timers.c ---- */

/* The wheel's entry is to fire at deadline_ms. */
void tcp_timer_arm(struct worker *w, struct tcp_sock *tp, uint32_t deadline_ms);
void tcp_timers_stop(struct worker *w, struct tcp_sock *tp);
/* Starts or stops keepalive, or bounds FIN-WAIT-2, as the sock's state and options ask. */
void tcp_timer_set_idle(struct worker *w, struct tcp_sock *tp);

static inline void tcp_timer_set(struct worker *w, struct tcp_sock *tp, enum tcp_timer which,
				 uint32_t delay_ms)
{
	const struct timer *entry = &tp->ics.timer;
	uint32_t deadline_ms = w->now_ms + delay_ms;

	tp->deadline_ms[which] = deadline_ms;
	tp->timers |= (uint8_t)(1u << which);
	if (unlikely(!entry->armed || (int32_t)(deadline_ms - entry->expiry_ms) < 0))
		tcp_timer_arm(w, tp, deadline_ms);
}

void tcp_timer_set_retransmit_slow(struct worker *w, struct tcp_sock *tp);
/* RTO with the back-off there is, no later than the user timeout. */
static inline void tcp_timer_set_retransmit(struct worker *w, struct tcp_sock *tp)
{
	uint32_t rto_ms = rtt_rto_ms(&tp->rtt);

	if (likely(tp->backoff == 0 && /* does progress go on? */
		   tp->rtt.srtt_us_8 != 0 && /* is a round trip known? */
		   tp->options->user_timeout_ms == 0 && /* may it wait for as long as it takes? */
		   !sock_is_detached(&tp->ics.inet.sk) && /* does anybody? */
		   rto_ms <= TCP_PERSIST_MAX_MS))
		tcp_timer_set(w, tp, TCP_TIMER_RETRANSMIT, rto_ms);
	else
		tcp_timer_set_retransmit_slow(w, tp);
}

static inline bool tcp_timer_armed(const struct tcp_sock *tp, enum tcp_timer which)
{
	return (tp->timers >> which & 1) != 0;
}

static inline void tcp_timer_stop(struct tcp_sock *tp, enum tcp_timer which)
{
	tp->timers &= (uint8_t) ~(1u << which); /* the wheel's entry fires, sees, and re-arms */
}

static inline uint32_t tcp_round_up_ms(uint32_t us)
{
	return (us + 999) / 1000;
}

/* The loss probe is due two round trips from now, or when the peer may have delayed its ACK, but not
 * after the retransmission timer, which is armed. */
static inline void tcp_probe_arm(struct worker *w, struct tcp_sock *tp)
{
	uint32_t srtt_us = rtt_smoothed_us(&tp->rtt);
	uint32_t rto_ms = tp->deadline_ms[TCP_TIMER_RETRANSMIT] - w->now_ms;
	uint32_t pto_ms = RTO_INITIAL_MS;

	if (likely(srtt_us != 0))
		pto_ms = tcp_round_up_ms(2 * srtt_us) + TCP_PROBE_SLACK_MS;
	if (tp->snd_nxt - tp->snd_una <= tp->mss_bytes)
		pto_ms += TCP_PROBE_ACK_DELAY_MS;
	tp->flags |= TCP_SOCK_PROBE_DUE;
	tcp_timer_set(w, tp, TCP_TIMER_LOSS, RTE_MIN(pto_ms, rto_ms));
}

/* ---- time_wait.c ---- */

/* The sock's connection goes on as a TIME_WAIT object: replaces it in sock_table, tcp_done. */
void tcp_time_wait(struct worker *w, struct tcp_sock *tp);
enum counter tcp_rx_time_wait(struct worker *w, struct time_wait *tw, struct packet *p);
void tcp_time_wait_free_all(struct worker *w);

/* ---- options.c ---- */

int tcp_setsockopt(struct worker *w, struct sock *sk, const struct sock_option *option);
int tcp_getsockopt(struct worker *w, struct sock *sk, struct sock_option *option);

#endif
