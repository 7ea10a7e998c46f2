#include "keys/broker/audit.h"

#include "base/text.h"
#include "keys/jose/jcs.h"

static void text_member(struct buffer *entry, const char *name, const char *value)
{
    buffer_printf(entry, ",\"%s\":", name);
    jcs_append_text(bytes_of_text(value), entry);
}

static void hex_member(struct buffer *entry, const char *name, struct bytes value)
{
    buffer_printf(entry, ",\"%s\":\"", name);
    hex_append(entry, value);
    buffer_append_text(entry, "\"");
}

static struct buffer entry_begin(int64_t now, const char *event, const char *verdict)
{
    struct buffer entry = { 0 };

    buffer_printf(&entry, "{\"at\":%lld,\"event\":\"%s\",\"verdict\":\"%s\"", (long long) now, event, verdict);
    return entry;
}

static void guest_members(struct buffer *entry, const struct audit_guest *guest)
{
    text_member(entry, "tee", guest->subject->tee);
    hex_member(entry, "measurement", guest->subject->measurement);
    hex_member(entry, "initdata", guest->subject->initdata);
    hex_member(entry, "evidence", guest->evidence);
    text_member(entry, "policy", guest->policy);
}

static FALLIBLE entry_add(struct store *store, struct buffer *entry, struct err *err)
{
    buffer_append_text(entry, "}");
    return store_audit_add(store, buffer_bytes(entry), err);
}

void audit_attested(int64_t now, const struct audit_guest *guest, const char *reason_or_null, struct buffer *out)
{
    AUTO(buffer) struct buffer entry = entry_begin(now, "attest", "accepted");

    guest_members(&entry, guest);
    if (reason_or_null)
        text_member(&entry, "reason", reason_or_null);
    buffer_append_text(&entry, "}");
    buffer_append(out, buffer_bytes(&entry));
}

void audit_attestation_refused(int64_t now, struct bytes evidence, const char *reason, struct buffer *out)
{
    AUTO(buffer) struct buffer entry = entry_begin(now, "attest", "refused");

    hex_member(&entry, "evidence", evidence);
    text_member(&entry, "reason", reason);
    buffer_append_text(&entry, "}");
    buffer_append(out, buffer_bytes(&entry));
}

FALLIBLE audit_key_released(struct store *store, int64_t now, const struct audit_guest *guest, const char *path,
                            struct err *err)
{
    AUTO(buffer) struct buffer entry = entry_begin(now, "release", "released");

    guest_members(&entry, guest);
    text_member(&entry, "resource", path);
    return entry_add(store, &entry, err);
}

FALLIBLE audit_key_undelivered(struct store *store, int64_t now, struct bytes evidence, const char *path, const char *reason,
                               struct err *err)
{
    AUTO(buffer) struct buffer entry = entry_begin(now, "release", "not delivered");

    hex_member(&entry, "evidence", evidence);
    text_member(&entry, "resource", path);
    text_member(&entry, "reason", reason);
    return entry_add(store, &entry, err);
}

FALLIBLE audit_key_denied(struct store *store, int64_t now, const struct audit_guest *guest, const char *path,
                          const char *reason, struct err *err)
{
    AUTO(buffer) struct buffer entry = entry_begin(now, "release", "denied");

    guest_members(&entry, guest);
    text_member(&entry, "resource", path);
    text_member(&entry, "reason", reason);
    return entry_add(store, &entry, err);
}

FALLIBLE audit_epoch_advanced(struct store *store, int64_t now, const struct audit_guest *guest, const char *path, uint64_t epoch,
                              struct err *err)
{
    AUTO(buffer) struct buffer entry = entry_begin(now, "epoch", "advanced");

    guest_members(&entry, guest);
    text_member(&entry, "resource", path);
    buffer_printf(&entry, ",\"epoch\":%llu", (unsigned long long) epoch);
    return entry_add(store, &entry, err);
}

FALLIBLE audit_administered(struct store *store, int64_t now, const char *who, const char *action, const char *subject,
                            struct err *err)
{
    AUTO(buffer) struct buffer entry = entry_begin(now, "admin", "done");

    text_member(&entry, "who", who);
    text_member(&entry, "action", action);
    text_member(&entry, "subject", subject);
    return entry_add(store, &entry, err);
}
