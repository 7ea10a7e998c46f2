#include "attestation/evidence/aael.h"

#include <string.h>

#include "attestation/evidence/event_log.h"
#include "base/text.h"

enum { HEAD_LEN_MAX = 4 + 4 + 4 + 2 + TPM_HASH_LEN_MAX + 4, TAGGED_LEN = 8, FILLING_LEN = 8, NO_LOG_HEADER_LEN = 69 };

static FALLIBLE check_word(const char *word, const char *name, size_t most, struct err *err)
{
    size_t len = strnlen(word, most + 1);

    if (len > most)
        return fail_with(err, ERR_LIMIT, "event: %s over %zu bytes", name, most);
    for (size_t i = 0; i < len; i++)
        if (word[i] <= ' ' || word[i] > '~')
            return fail_with(err, ERR_MALFORMED, "event: %s: wanted printable ASCII without blanks", name);
    return len > 0 || fail_with(err, ERR_MALFORMED, "event: %s is empty", name);
}

FALLIBLE aael_check(const struct aael_event *event, struct err *err)
{
    size_t len = strnlen(event->content, AAEL_CONTENT_MAX + 1);

    if (!check_word(event->domain, "domain", AAEL_DOMAIN_MAX, err) ||
        !check_word(event->operation, "operation", AAEL_OPERATION_MAX, err))
        return false;
    if (len > AAEL_CONTENT_MAX)
        return fail_with(err, ERR_LIMIT, "event: content over %d bytes", AAEL_CONTENT_MAX);
    if (strpbrk(event->content, "\r\n") || !is_utf8((struct bytes){ (const uint8_t *) event->content, len }))
        return fail_with(err, ERR_MALFORMED, "event: content: wanted one line of UTF-8");
    return true;
}

/* What is hashed: tag, length and line. */
static void write_tagged(const struct aael_event *event, struct buffer *out)
{
    AUTO(buffer) struct buffer line = { 0 };
    uint8_t                    head[TAGGED_LEN];
    struct writer              w = writer_over(head, sizeof head);

    buffer_printf(&line, "%s %s %s", event->domain, event->operation, event->content);
    put_u32le(&w, AAEL_TAG);
    put_u32le(&w, (uint32_t) line.len);
    buffer_append(out, writer_bytes(&w));
    buffer_append(out, buffer_bytes(&line));
}

FALLIBLE aael_append(const struct aael_event *event, uint32_t index, const struct tpm_hash *hash, struct buffer *log,
                     uint8_t digest[static TPM_HASH_LEN_MAX], struct err *err)
{
    AUTO(buffer) struct buffer tagged = { 0 };
    uint8_t                    head[HEAD_LEN_MAX];
    struct writer              w = writer_over(head, sizeof head);

    if (!aael_check(event, err))
        return false;
    write_tagged(event, &tagged);
    tpm_hash_of(hash, buffer_bytes(&tagged), (struct bytes){ 0 }, digest);
    put_u32le(&w, index);
    put_u32le(&w, EV_EVENT_TAG);
    put_u32le(&w, 1); /* one digest */
    put_u16le(&w, hash->id);
    put(&w, (struct bytes){ digest, hash->len });
    put_u32le(&w, (uint32_t) tagged.len);
    buffer_append(log, writer_bytes(&w));
    buffer_append(log, buffer_bytes(&tagged));
    return true;
}

/* The area is larger than its log: eight bytes alike, all ones or zeros, where no record can begin. */
static size_t without_filling(struct bytes log)
{
    struct event_log parsed;
    struct err       not_a_log;

    if (event_log_parse(log, EVENT_LOG_CCEL, &parsed, &not_a_log))
        return (size_t) (parsed.events.at - log.at) + parsed.events.len;
    return log.len; /* as it is: the verifier says what is wrong with it */
}

static void write_header(struct buffer *out)
{
    uint8_t       header[NO_LOG_HEADER_LEN];
    struct writer w = writer_over(header, sizeof header);

    put_u32le(&w, 0);
    put_u32le(&w, EV_NO_ACTION);
    put_zeros(&w, 20);
    put_u32le(&w, 37);
    put_zeros(&w, 24);
    put_u32le(&w, 2); /* banks */
    put_u16le(&w, TPM_SHA384);
    put_u16le(&w, SHA384_LEN);
    put_u16le(&w, TPM_SM3);
    put_u16le(&w, SHA256_LEN);
    put_u8(&w, 0);
    buffer_append(out, writer_bytes(&w));
}

void aael_continue_ccel(struct bytes firmware, struct bytes records, struct buffer *out)
{
    if (firmware.len > 0)
        buffer_append(out, (struct bytes){ firmware.at, without_filling(firmware) });
    else
        write_header(out);
    buffer_append(out, records);
    memset(buffer_grow(out, FILLING_LEN), 0xff, FILLING_LEN);
}
