#include "attestation/verifier/tdx_claims.h"

#include "attestation/verifier/event_claims.h"
#include "attestation/verifier/instant.h"

static struct json_object *header_claims(struct bytes signed_part)
{
    struct json_object *header = json_object_new_object();
    struct reader       r      = reader_over(signed_part);
    struct err          err;

    json_add_hex(header, "version", take(&r, 2));
    json_add_hex(header, "att_key_type", take(&r, 2));
    json_add_hex(header, "tee_type", take(&r, 4));
    json_add_hex(header, "reserved", take(&r, 4));
    json_add_hex(header, "vendor_id", take(&r, 16));
    json_add_hex(header, "user_data", take(&r, 20));
    if (!reader_ok(&r, &err)) { /* a parsed quote has a header */
        json_object_put(header);
        return NULL;
    }
    return header;
}

static void add_u64_hex(struct json_object *to, const char *name, uint64_t value)
{
    uint8_t       raw[8];
    struct writer w = writer_over(raw, sizeof raw);

    put_u64le(&w, value);
    json_add_hex(to, name, writer_bytes(&w));
}

static struct json_object *body_claims(const struct td_body *b)
{
    static const char *const rtmr[TDX_RTMRS] = { "rtmr_0", "rtmr_1", "rtmr_2", "rtmr_3" };
    struct json_object      *body            = json_object_new_object();

    json_add_hex(body, "tcb_svn", b->tee_tcb_svn);
    json_add_hex(body, "mr_seam", b->mrseam);
    json_add_hex(body, "mrsigner_seam", b->mrsignerseam);
    json_add_hex(body, "seam_attributes", b->seam_attributes);
    add_u64_hex(body, "td_attributes", b->td_attributes);
    add_u64_hex(body, "xfam", b->xfam);
    json_add_hex(body, "mr_td", b->mrtd);
    json_add_hex(body, "mr_config_id", b->mrconfigid);
    json_add_hex(body, "mr_owner", b->mrowner);
    json_add_hex(body, "mr_owner_config", b->mrownerconfig);
    for (size_t i = 0; i < TDX_RTMRS; i++)
        json_add_hex(body, rtmr[i], b->rtmr[i]);
    json_add_hex(body, "report_data", b->report_data);
    if (b->type != TD_BODY_10) {
        json_add_hex(body, "tee_tcb_svn2", b->tee_tcb_svn2);
        json_add_hex(body, "mr_servicetd", b->mrservicetd);
    }
    return body;
}

/* Behind the header of a version 5 quote: the body's type, then its size. */
static struct bytes body_size(struct bytes signed_part)
{
    enum { HEADER_AND_TYPE_LEN = 50 };
    struct reader r = reader_over(signed_part);
    struct err    err;

    take(&r, HEADER_AND_TYPE_LEN);
    struct bytes size = take(&r, 4);

    return reader_ok(&r, &err) ? size : (struct bytes){ 0 };
}

static struct json_object *quote_claims(const struct tdx_quote *q)
{
    static const uint8_t types[] = { [TD_BODY_10] = 2, [TD_BODY_15] = 3, [TD_BODY_15_EXTENDED] = 4 };
    struct json_object  *quote   = json_object_new_object();

    json_add(quote, "header", header_claims(q->signed_part));
    json_add(quote, "body", body_claims(&q->body));
    if (q->header.version == 5) {
        const uint8_t type[2] = { types[q->body.type], 0 };

        json_add_hex(quote, "type", BYTES_OF(type));
        json_add_hex(quote, "size", body_size(q->signed_part));
    }
    return quote;
}

static struct json_object *attribute_claims(uint64_t attributes)
{
    static const struct { const char *name; unsigned bit; } bits[] = {
        { "debug", 0 }, { "septve_disable", 28 }, { "migratable", 29 }, { "protection_keys", 30 },
        { "key_locker", 31 }, { "perfmon", 63 },
    };
    struct json_object *claims = json_object_new_object();

    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
        json_add(claims, bits[i].name, json_object_new_boolean(attributes >> bits[i].bit & 1));
    return claims;
}

static struct json_object *advisory_claims(const struct advisories *set)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < set->n; i++)
        (void) json_object_array_add(list, json_object_new_string(set->id[i])); /* fails only without memory */
    return list;
}

static void add_instant(struct json_object *to, const char *name, int64_t at)
{
    char text[INSTANT_TEXT_LEN + 1];

    instant_write(at, text);
    json_add_text(to, name, text);
}

static void add_tcb(struct json_object *to, const struct tdx_tcb *tcb)
{
    json_add_text(to, "tcb_status", tcb_status_name(tcb->status));
    add_instant(to, "tcb_date", tcb->launch.date);
    json_add(to, "advisory_ids", advisory_claims(&tcb->launch.advisories));
    json_add_text(to, "tcb_status_platform", tcb_status_name(tcb->platform));
    if (tcb->has_module)
        json_add_text(to, "tcb_status_module", tcb_status_name(tcb->module));
    json_add_text(to, "tcb_status_qe", tcb_status_name(tcb->qe));
    if (tcb->has_current) {
        json_add_text(to, "tcb_status_current", tcb_status_name(tcb->current.status));
        add_instant(to, "tcb_date_current", tcb->current.date);
        json_add(to, "advisory_ids_current", advisory_claims(&tcb->current.advisories));
    }
}

static void add_flag(struct json_object *to, const char *name, enum pck_flag flag)
{
    if (flag != PCK_FLAG_ABSENT)
        json_add(to, name, json_object_new_boolean(flag == PCK_FLAG_TRUE));
}

static void add_platform(struct json_object *to, const struct pck_extension *pck)
{
    static const char *const types[] = { "standard", "scalable", "scalable with integrity" };

    json_add_hex(to, "fmspc", BYTES_OF(pck->fmspc));
    json_add_text(to, "sgx_type", types[pck->sgx_type]);
    if (pck->has_instance)
        json_add_hex(to, "platform_instance_id", BYTES_OF(pck->instance));
    add_flag(to, "is_dynamic_platform", pck->dynamic_platform);
    add_flag(to, "is_cached_keys", pck->cached_keys);
    add_flag(to, "is_smt_enabled", pck->smt_enabled);
}

struct json_object *tdx_claims(const struct tdx_result *r)
{
    struct json_object *claims;

    if (!r->is_genuine)
        return NULL;
    claims = json_object_new_object();
    json_add(claims, "quote", quote_claims(&r->quote));
    json_add(claims, "td_attributes", attribute_claims(r->quote.body.td_attributes));
    if (r->has_tcb)
        add_tcb(claims, &r->tcb);
    json_add(claims, "tcb_eval_num", json_object_new_int64(r->tcb_evaluation_number));
    json_add(claims, "root_ca_crl_num", json_object_new_uint64(r->root_crl_number));
    json_add(claims, "pck_crl_num", json_object_new_uint64(r->pck_crl_number));
    json_add_text(claims, "collateral_expiration_status", "0"); /* what has expired is refused */
    add_instant(claims, "earliest_issue_date", r->earliest_issue);
    add_instant(claims, "latest_issue_date", r->latest_issue);
    add_instant(claims, "earliest_expiration_date", r->earliest_expiration);
    add_platform(claims, &r->pck);
    if (r->has_log)
        json_add(claims, "uefi_event_logs", event_log_claims(&r->log));
    json_add_hex(claims, "report_data", r->quote.body.report_data);
    json_add_hex(claims, "init_data", r->quote.body.mrconfigid);
    return claims;
}
