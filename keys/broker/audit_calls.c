/* The audit log, as an administrator reads and checks it. */
#include <errno.h>

#include "base/text.h"
#include "keys/broker/administration.h"
#include "keys/jose/jcs.h"
#include "keys/jose/jwt.h"

enum { ENTRIES_AT_ONCE = 1000 };

/* The committed tree's size and root, signed as a token is. */
FALLIBLE audit_head(struct call *call, struct err *err)
{
    const struct merkle       *tree    = store_audit_tree(call->broker->store);
    AUTO(buffer) struct buffer payload = { 0 };
    struct merkle_hash         root;

    if (!caller_may(&call->caller, MAY_AUDIT, NULL, err) || !store_audit_refresh(call->broker->store, err))
        return false;
    root = merkle_root(tree);
    buffer_printf(&payload, "{\"iat\":%lld,\"size\":%llu,\"root\":\"", (long long) call->request->now,
                  (unsigned long long) tree->size);
    hex_append(&payload, BYTES_OF(root.at));
    buffer_append_text(&payload, "\"}");
    call->answer->content_type = JSON_TYPE;
    buffer_append_text(&call->answer->body, "{\"head\":\"");
    if (!jwt_sign("", buffer_bytes(&payload), call->broker->issuer.key, &call->answer->body, err))
        return false;
    buffer_append_text(&call->answer->body, "\"}");
    return true;
}

/* Numbers with a slash between, as many as `n`; nothing else. */
static FALLIBLE numbers_read(const char *text, uint64_t *out, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        char *end = NULL;

        errno  = 0;
        out[i] = strtoull(text, &end, 10);
        if (text[0] < '0' || text[0] > '9' || errno != 0 || *end != (i + 1 < n ? '/' : 0))
            return fail_with(err, ERR_MALFORMED, "the path does not end in %zu numbers", n);
        text = end + 1;
    }
    return true;
}

static void list_entry(void *owner, uint64_t seq, struct bytes entry)
{
    struct listing *l = owner;

    (void) seq;
    listing_separate(l);
    jcs_append_text(entry, l->out); /* as a text: its bytes are what was hashed */
}

FALLIBLE audit_entries(struct call *call, struct err *err)
{
    struct listing l = { .out = &call->answer->body };
    uint64_t       size, from;

    if (!caller_may(&call->caller, MAY_AUDIT, NULL, err) || !numbers_read(call->rest, &from, 1, err) ||
        !store_audit_refresh(call->broker->store, err))
        return false;
    size                       = store_audit_tree(call->broker->store)->size;
    call->answer->content_type = JSON_TYPE;
    buffer_append_text(l.out, "{\"entries\":[");
    if (from < size && !store_audit_each(call->broker->store, from,
                                         size - from < ENTRIES_AT_ONCE ? size - from : ENTRIES_AT_ONCE,
                                         list_entry, &l, err))
        return false;
    buffer_append_text(l.out, "]}");
    return true;
}

/* audit/inclusion/INDEX/SIZE and audit/consistency/FIRST/SIZE */
static FALLIBLE audit_prove(struct call *call, bool is_inclusion, struct err *err)
{
    struct store       *store = call->broker->store;
    struct merkle_proof proof;
    uint64_t            n[2];

    if (!caller_may(&call->caller, MAY_AUDIT, NULL, err) || !numbers_read(call->rest, n, 2, err) ||
        !store_audit_refresh(store, err))
        return false;
    if (n[1] > store_audit_tree(store)->size ||
        (is_inclusion ? n[0] >= n[1] : n[0] == 0 || n[0] > n[1]))
        return fail_with(err, ERR_MALFORMED, "there is no such tree, or nothing of that number in it");
    if (!(is_inclusion ? store_prove_inclusion(store, n[0], n[1], &proof, err)
                       : store_prove_consistency(store, n[0], n[1], &proof, err)))
        return false;
    call->answer->content_type = JSON_TYPE;
    buffer_append_text(&call->answer->body, "{\"hashes\":[");
    for (size_t i = 0; i < proof.n; i++) {
        buffer_append_text(&call->answer->body, i ? ",\"" : "\"");
        hex_append(&call->answer->body, BYTES_OF(proof.at[i].at));
        buffer_append_text(&call->answer->body, "\"");
    }
    buffer_append_text(&call->answer->body, "]}");
    return true;
}

FALLIBLE audit_inclusion(struct call *call, struct err *err) { return audit_prove(call, true, err); }
FALLIBLE audit_consistency(struct call *call, struct err *err) { return audit_prove(call, false, err); }
