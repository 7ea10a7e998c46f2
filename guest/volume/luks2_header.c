#include "guest/volume/luks2_header.h"

#include <errno.h>
#include <string.h>

#include "base/ossl.h"
#include "base/text.h"

enum { MAGIC_LEN = 6, CHECKSUM_AT = 448, CHECKSUM_LEN = 64, KEYSLOTS_SEEN_MAX = 32, ALIGNMENT = 4096, KEYSLOT_NAME_MAX = 3 };

static const uint8_t FIRST[MAGIC_LEN] = "LUKS\xba\xbe", SECOND[MAGIC_LEN] = "SKUL\xba\xbe";

/* ---- the binary header ---- */

struct copy {
    uint64_t     len, sequence;
    char         uuid[40];
    struct bytes json;
};

/* Trailing zeros are all that may follow a text in a field of fixed size. */
static FALLIBLE text_field(struct bytes field, char *out, const char *name, struct err *err)
{
    size_t len = strnlen((const char *) field.at, field.len);

    if (len == field.len || !bytes_are_zero((struct bytes){ field.at + len, field.len - len }))
        return fail_with(err, ERR_MALFORMED, "%s: not a text with zeros behind it", name);
    memcpy(out, field.at, field.len);
    return true;
}

static FALLIBLE checksum_holds(struct bytes whole, struct err *err)
{
    AUTO(buffer) struct buffer copy = { 0 };
    uint8_t                    digest[SHA256_LEN];

    buffer_append(&copy, whole);
    memset(copy.at + CHECKSUM_AT, 0, CHECKSUM_LEN);
    sha256_of(buffer_bytes(&copy), digest);
    return memcmp(digest, whole.at + CHECKSUM_AT, sizeof digest) == 0 || fail_with(err, ERR_MALFORMED, "the checksum does not hold");
}

/* One copy, which begins at `at` of `start`. [LUKS2 2.1] */
static FALLIBLE copy_read(struct bytes start, uint64_t at, bool is_second, struct copy *out, struct err *err)
{
    struct reader r = reader_over(at < start.len ? (struct bytes){ start.at + at, start.len - at } : (struct bytes){ 0 });
    struct bytes  whole = r.left, magic = take(&r, MAGIC_LEN);
    uint16_t      version = take_u16be(&r);
    uint64_t      len = take_u64be(&r), sequence = take_u64be(&r);
    struct bytes  algorithm, uuid;
    char          name[32];

    (void) take(&r, 48); /* label */
    algorithm = take(&r, 32);
    (void) take(&r, 64); /* salt: only so that two headers differ */
    uuid = take(&r, 40);
    (void) take(&r, 48); /* subsystem */
    uint64_t offset = take_u64be(&r);
    (void) take(&r, LUKS2_BINARY_LEN - r.offset);
    if (!reader_ok(&r, err))
        return false;
    if (memcmp(magic.at, is_second ? SECOND : FIRST, MAGIC_LEN) != 0)
        return fail_with(err, ERR_MALFORMED, "no LUKS header");
    if (version != 2)
        return fail_with(err, ERR_UNSUPPORTED, "version %u; 2 is wanted: cryptsetup luksFormat --type luks2", version);
    if (len < 4 * LUKS2_BINARY_LEN || len % LUKS2_BINARY_LEN != 0 || offset != at || (is_second && at != len))
        return fail_with(err, ERR_MALFORMED, "a copy of %llu bytes at %llu", (unsigned long long) len, (unsigned long long) offset);
    if (len > LUKS2_HEADER_MAX)
        return fail_with(err, ERR_LIMIT, "a copy of %llu bytes; at most %d are read", (unsigned long long) len, LUKS2_HEADER_MAX);
    if (len > whole.len)
        return fail_with(err, ERR_MALFORMED, "cut short");
    if (!text_field(algorithm, name, "checksum algorithm", err) || !text_field(uuid, out->uuid, "UUID", err))
        return false;
    if (strcmp(name, "sha256") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "a checksum other than sha256");
    out->len      = len;
    out->sequence = sequence;
    out->json     = (struct bytes){ whole.at + LUKS2_BINARY_LEN, (size_t) len - LUKS2_BINARY_LEN };
    return checksum_holds((struct bytes){ whole.at, (size_t) len }, err);
}

/* ---- JSON ---- */

/* Numbers of 64 bits are texts. [LUKS2 3.1] */
static FALLIBLE number(struct json_object *of, const char *name, uint64_t *out, struct err *err)
{
    const char *text;
    char       *end;

    if (!json_get_text(of, name, &text, err))
        return false;
    errno = 0;
    *out  = strtoull(text, &end, 10);
    return (text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0 && strlen(text) <= 20) ||
           fail_with(err, ERR_MALFORMED, "%s: no number", name);
}

static FALLIBLE text_is(struct json_object *of, const char *name, const char *wanted, struct err *err)
{
    const char *text;

    if (!json_get_text(of, name, &text, err))
        return false;
    return strcmp(text, wanted) == 0 || fail_with(err, ERR_UNSUPPORTED, "%s %.32s; only %s is opened", name, text, wanted);
}

/* `remedy` is what the owner gives to cryptsetup for it. */
static FALLIBLE text_is_or(struct json_object *of, const char *name, const char *wanted, const char *remedy, struct err *err)
{
    const char *text;

    if (!json_get_text(of, name, &text, err))
        return false;
    return strcmp(text, wanted) == 0 ||
           fail_with(err, ERR_UNSUPPORTED, "%s %.32s; only %s is opened: cryptsetup %s", name, text, wanted, remedy);
}

static FALLIBLE only_members(struct json_object *of, const char *const *known, size_t n, struct err *err)
{
    json_object_object_foreach(of, name, value)
    {
        bool is_known = false;

        (void) value;
        for (size_t i = 0; i < n; i++)
            is_known |= strcmp(name, known[i]) == 0;
        if (!is_known)
            return fail_with(err, ERR_UNSUPPORTED, "a member \"%.32s\"", name);
    }
    return true;
}

static FALLIBLE hash_read(struct json_object *of, char out[static 8], struct err *err)
{
    const char *text;

    if (!json_get_text(of, "hash", &text, err))
        return false;
    if (strcmp(text, "sha256") != 0 && strcmp(text, "sha512") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "hash %.32s; only sha256 and sha512 are used: cryptsetup --hash sha256", text);
    (void) snprintf(out, 8, "%s", text); /* one of the two */
    return true;
}

static FALLIBLE base64_member(struct json_object *of, const char *name, struct buffer *out, struct err *err)
{
    const char *text;

    return json_get_text(of, name, &text, err) && (base64_read(bytes_of_text(text), BASE64_STANDARD, out, err) || context(err, name));
}

static FALLIBLE kdf_read(struct json_object *of, struct luks2_kdf *out, struct err *err)
{
    AUTO(buffer) struct buffer salt = { 0 };
    uint64_t                   iterations;

    if (!text_is_or(of, "type", "pbkdf2", "luksConvertKey --pbkdf pbkdf2", err) || !hash_read(of, out->hash, err) ||
        !json_get_u64(of, "iterations", UINT32_MAX, &iterations, err) || !base64_member(of, "salt", &salt, err))
        return false;
    if (iterations < LUKS2_ITERATIONS_MIN || iterations > LUKS2_ITERATIONS_MAX)
        return fail_with(err, ERR_LIMIT, "%llu iterations; %d to %d are taken", (unsigned long long) iterations, LUKS2_ITERATIONS_MIN,
                         LUKS2_ITERATIONS_MAX);
    if (salt.len < 16 || salt.len > sizeof out->salt)
        return fail_with(err, ERR_LIMIT, "a salt of %zu bytes", salt.len);
    memcpy(out->salt, salt.at, salt.len);
    out->salt_len   = salt.len;
    out->iterations = (uint32_t) iterations;
    return true;
}

/* The only segment. Any other than this could be one that the host reads. [LUKS2 3.3] */
static FALLIBLE segment_read(struct json_object *root, uint64_t disk_len, struct luks2_header *out, struct err *err)
{
    static const char *const known[] = { "type", "offset", "size", "iv_tweak", "encryption", "sector_size", "integrity" };
    static const char *const of_integrity[] = { "type", "journal_encryption", "journal_integrity", "key_size" };
    struct json_object      *segments, *segment, *integrity;
    uint64_t                 sector_len;

    if (!json_get(root, "segments", json_type_object, &segments, err))
        return false;
    if (json_object_object_length(segments) != 1)
        return fail_with(err, ERR_UNSUPPORTED, "%d segments; one is opened", json_object_object_length(segments));
    if (!json_get(segments, "0", json_type_object, &segment, err) || !text_is(segment, "type", "crypt", err))
        return false;
    if (!json_has(segment, "integrity"))
        return fail_with(err, ERR_UNSUPPORTED, "no integrity: cryptsetup luksFormat --integrity hmac-sha256 --cipher aes-xts-plain64 --key-size 512");
    if (!only_members(segment, known, sizeof known / sizeof *known, err) ||
        !text_is_or(segment, "encryption", "aes-xts-plain64", "luksFormat --cipher aes-xts-plain64 --key-size 512", err) ||
        !text_is(segment, "iv_tweak", "0", err) ||
        !text_is(segment, "size", "dynamic", err) || !json_get_u64(segment, "sector_size", 4096, &sector_len, err) ||
        !number(segment, "offset", &out->segment_offset, err))
        return false;
    if (!json_get(segment, "integrity", json_type_object, &integrity, err) ||
        !only_members(integrity, of_integrity, sizeof of_integrity / sizeof *of_integrity, err) ||
        !text_is_or(integrity, "type", "hmac(sha256)", "luksFormat --integrity hmac-sha256", err) || !text_is(integrity, "journal_encryption", "none", err) ||
        !text_is(integrity, "journal_integrity", "none", err))
        return context(err, "integrity");
    if (sector_len != 512 && sector_len != 4096)
        return fail_with(err, ERR_UNSUPPORTED, "sectors of %llu bytes", (unsigned long long) sector_len);
    if (out->segment_offset % ALIGNMENT != 0 || out->segment_offset < 2 * out->copy_len || out->segment_offset >= disk_len)
        return fail_with(err, ERR_MALFORMED, "a segment at %llu of %llu", (unsigned long long) out->segment_offset,
                         (unsigned long long) disk_len);
    out->sector_len = (unsigned) sector_len;
    return true;
}

static FALLIBLE area_read(struct json_object *keyslot, const struct luks2_header *header, struct luks2_keyslot *out, struct err *err)
{
    struct json_object *area, *af;
    uint64_t            key_len, stripes;

    if (!json_get(keyslot, "area", json_type_object, &area, err) || !text_is(area, "type", "raw", err) ||
        !text_is(area, "encryption", "aes-xts-plain64", err) || !json_get_u64(area, "key_size", 64, &key_len, err) ||
        !number(area, "offset", &out->area_offset, err) || !number(area, "size", &out->area_len, err) ||
        !json_get(keyslot, "af", json_type_object, &af, err) || !text_is(af, "type", "luks1", err) || !hash_read(af, out->af_hash, err) ||
        !json_get_u64(af, "stripes", LUKS2_STRIPES, &stripes, err))
        return false;
    if ((key_len != 32 && key_len != 64) || stripes != LUKS2_STRIPES)
        return fail_with(err, ERR_UNSUPPORTED, "an area key of %llu bytes, %llu stripes", (unsigned long long) key_len,
                         (unsigned long long) stripes);
    if (out->area_offset % ALIGNMENT != 0 || out->area_offset < 2 * header->copy_len || out->area_offset > header->segment_offset ||
        out->area_len > header->segment_offset - out->area_offset || out->area_len < (uint64_t) LUKS2_KEY_LEN * LUKS2_STRIPES)
        return fail_with(err, ERR_MALFORMED, "an area of %llu bytes at %llu", (unsigned long long) out->area_len,
                         (unsigned long long) out->area_offset);
    out->area_key_len = (size_t) key_len;
    return true;
}

static bool array_holds(struct json_object *list, const char *text)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);

        if (json_object_is_type(one, json_type_string) && strcmp(json_object_get_string(one), text) == 0)
            return true;
    }
    return false;
}

/* The digest of the segment's key, and which keyslots are said to hold that. [LUKS2 3.4] */
static FALLIBLE digest_read(struct json_object *root, struct luks2_header *out, struct json_object **keyslots, struct err *err)
{
    AUTO(buffer) struct buffer value = { 0 };
    struct json_object        *digests, *digest, *segments;

    if (!json_get(root, "digests", json_type_object, &digests, err))
        return false;
    if (json_object_object_length(digests) != 1)
        return fail_with(err, ERR_UNSUPPORTED, "%d digests; one is wanted", json_object_object_length(digests));
    if (!json_get(digests, "0", json_type_object, &digest, err) || !kdf_read(digest, &out->digest, err) ||
        !base64_member(digest, "digest", &value, err) || !json_get(digest, "segments", json_type_array, &segments, err) ||
        !json_get(digest, "keyslots", json_type_array, keyslots, err))
        return context(err, "digest");
    if (value.len != sizeof out->digest_value || !array_holds(segments, "0"))
        return fail_with(err, ERR_UNSUPPORTED, "a digest of %zu bytes, or of another segment", value.len);
    memcpy(out->digest_value, value.at, value.len);
    return true;
}

/* One that we cannot use is passed over: another may open; the last one's reason is told when none does. */
static FALLIBLE keyslots_read(struct json_object *root, struct json_object *listed, struct luks2_header *out, struct err *err)
{
    struct json_object *all;
    struct err          last = { .kind = ERR_UNSUPPORTED, .text = "there is no keyslot" };

    if (!json_get(root, "keyslots", json_type_object, &all, err))
        return false;
    if (json_object_object_length(all) > KEYSLOTS_SEEN_MAX)
        return fail_with(err, ERR_LIMIT, "over %d keyslots", KEYSLOTS_SEEN_MAX);
    json_object_object_foreach(all, name, keyslot)
    {
        struct luks2_keyslot slot = { 0 };
        struct json_object  *kdf;
        uint64_t             key_len;

        if (strlen(name) > KEYSLOT_NAME_MAX || out->n_keyslots == LUKS2_KEYSLOTS_MAX || !array_holds(listed, name))
            continue;
        (void) snprintf(slot.name, sizeof slot.name, "%s", name); /* its length was compared */
        if (json_get_u64(keyslot, "key_size", LUKS2_KEY_LEN, &key_len, &last) && text_is(keyslot, "type", "luks2", &last) &&
            json_get(keyslot, "kdf", json_type_object, &kdf, &last) && kdf_read(kdf, &slot.kdf, &last) &&
            area_read(keyslot, out, &slot, &last) &&
            (key_len == LUKS2_KEY_LEN || fail_with(&last, ERR_UNSUPPORTED, "a key of %llu bytes; %d are wanted: cryptsetup luksFormat --key-size 512",
                                              (unsigned long long) key_len, LUKS2_KEY_LEN)))
            out->keyslots[out->n_keyslots++] = slot;
        else
            out->n_unusable++, (void) contextf(&last, "keyslot %s", name);
    }
    if (out->n_keyslots > 0)
        return true;
    *err = last;
    return false;
}

static FALLIBLE json_text(struct bytes area, struct bytes *out, struct err *err)
{
    size_t len = strnlen((const char *) area.at, area.len);

    *out = (struct bytes){ area.at, len };
    return bytes_are_zero((struct bytes){ area.at + len, area.len - len }) || fail_with(err, ERR_MALFORMED, "bytes behind the JSON text");
}

static FALLIBLE requirements_none(struct json_object *root, struct err *err)
{
    struct json_object *config;

    if (!json_get(root, "config", json_type_object, &config, err))
        return false;
    return !json_has(config, "requirements") || fail_with(err, ERR_UNSUPPORTED, "the header requires what we do not do (a reencryption that goes on?)");
}

static FALLIBLE metadata_read(const struct copy *copy, uint64_t disk_len, struct luks2_header *out, struct err *err)
{
    AUTO(json) struct json_object *root = NULL;
    struct luks2_header            read = { .sequence = copy->sequence, .copy_len = copy->len };
    struct json_object            *listed;
    struct bytes                   text;

    memcpy(read.uuid, copy->uuid, sizeof read.uuid);
    if (!json_text(copy->json, &text, err) || !json_read(text, LUKS2_HEADER_MAX, &root, err) || !requirements_none(root, err))
        return false;
    if (!segment_read(root, disk_len, &read, err))
        return context(err, "segment");
    if (!digest_read(root, &read, &listed, err) || !keyslots_read(root, listed, &read, err))
        return false;
    *out = read;
    return true;
}

FALLIBLE luks2_header_read(struct bytes start, uint64_t disk_len, struct luks2_header *out, struct err *err)
{
    struct copy first = { 0 }, second = { 0 };
    struct err  ignored;
    bool        has_first = copy_read(start, 0, false, &first, err), has_second = false;

    for (uint64_t at = 4 * LUKS2_BINARY_LEN; at <= LUKS2_HEADER_MAX && !has_second; at *= 2)
        has_second = copy_read(start, at, true, &second, &ignored);
    if (!has_first && !has_second)
        return context(err, "LUKS2 header");
    return metadata_read(has_second && (!has_first || second.sequence > first.sequence) ? &second : &first, disk_len, out, err) ||
           context(err, "LUKS2 header");
}

/* ---- writing ---- */

static void add_number(struct json_object *to, const char *name, uint64_t value)
{
    char text[24];

    (void) snprintf(text, sizeof text, "%llu", (unsigned long long) value); /* fits */
    json_add_text(to, name, text);
}

static void add_base64(struct json_object *to, const char *name, struct bytes value)
{
    AUTO(buffer) struct buffer text = { 0 };

    base64_append(&text, value, BASE64_STANDARD);
    json_add_text(to, name, buffer_text(&text));
}

static struct json_object *kdf_compose(const struct luks2_kdf *kdf)
{
    struct json_object *out = json_object_new_object();

    json_add_text(out, "type", "pbkdf2");
    json_add_text(out, "hash", kdf->hash);
    json_add(out, "iterations", json_object_new_int64(kdf->iterations));
    add_base64(out, "salt", (struct bytes){ kdf->salt, kdf->salt_len });
    return out;
}

static struct json_object *keyslot_compose(const struct luks2_keyslot *slot)
{
    struct json_object *out = json_object_new_object(), *af = json_object_new_object(), *area = json_object_new_object();

    json_add_text(out, "type", "luks2");
    json_add(out, "key_size", json_object_new_int(LUKS2_KEY_LEN));
    json_add_text(af, "type", "luks1");
    json_add(af, "stripes", json_object_new_int(LUKS2_STRIPES));
    json_add_text(af, "hash", slot->af_hash);
    json_add(out, "af", af);
    json_add_text(area, "type", "raw");
    add_number(area, "offset", slot->area_offset);
    add_number(area, "size", slot->area_len);
    json_add_text(area, "encryption", "aes-xts-plain64");
    json_add(area, "key_size", json_object_new_int((int) slot->area_key_len));
    json_add(out, "area", area);
    json_add(out, "kdf", kdf_compose(&slot->kdf));
    return out;
}

static struct json_object *segment_compose(const struct luks2_header *h)
{
    struct json_object *out = json_object_new_object(), *integrity = json_object_new_object();

    json_add_text(out, "type", "crypt");
    add_number(out, "offset", h->segment_offset);
    json_add_text(out, "size", "dynamic");
    json_add_text(out, "iv_tweak", "0");
    json_add_text(out, "encryption", "aes-xts-plain64");
    json_add(out, "sector_size", json_object_new_int((int) h->sector_len));
    json_add_text(integrity, "type", "hmac(sha256)");
    json_add_text(integrity, "journal_encryption", "none");
    json_add_text(integrity, "journal_integrity", "none");
    json_add(out, "integrity", integrity);
    return out;
}

static struct json_object *digest_compose(const struct luks2_header *h)
{
    struct json_object *out = kdf_compose(&h->digest), *keyslots = json_object_new_array(), *segments = json_object_new_array();

    for (size_t i = 0; i < h->n_keyslots; i++)
        if (json_object_array_add(keyslots, json_object_new_string(h->keyslots[i].name)) != 0)
            abort();
    if (json_object_array_add(segments, json_object_new_string("0")) != 0)
        abort();
    json_add(out, "keyslots", keyslots);
    json_add(out, "segments", segments);
    add_base64(out, "digest", BYTES_OF(h->digest_value));
    return out;
}

static void metadata_write(const struct luks2_header *h, struct buffer *out)
{
    AUTO(json) struct json_object *root = json_object_new_object();
    struct json_object *keyslots = json_object_new_object(), *segments = json_object_new_object(), *digests = json_object_new_object(),
                       *config = json_object_new_object();

    for (size_t i = 0; i < h->n_keyslots; i++)
        json_add(keyslots, h->keyslots[i].name, keyslot_compose(&h->keyslots[i]));
    json_add(segments, "0", segment_compose(h));
    json_add(digests, "0", digest_compose(h));
    add_number(config, "json_size", h->copy_len - LUKS2_BINARY_LEN);
    add_number(config, "keyslots_size", h->segment_offset - 2 * h->copy_len);
    json_add(root, "keyslots", keyslots);
    json_add(root, "tokens", json_object_new_object());
    json_add(root, "segments", segments);
    json_add(root, "digests", digests);
    json_add(root, "config", config);
    json_write(root, out);
}

FALLIBLE luks2_header_write(const struct luks2_header *header, bool is_second, const uint8_t salt[static 64], struct buffer *out,
                            struct err *err)
{
    AUTO(buffer) struct buffer json = { 0 };
    uint8_t                    digest[SHA256_LEN];

    metadata_write(header, &json);
    if (header->copy_len < LUKS2_BINARY_LEN || json.len >= header->copy_len - LUKS2_BINARY_LEN)
        return fail_with(err, ERR_LIMIT, "LUKS2 header: %zu bytes of JSON", json.len);
    uint8_t      *at = buffer_grow(out, (size_t) header->copy_len);
    struct writer w  = writer_over(at, LUKS2_BINARY_LEN);
    put(&w, is_second ? BYTES_OF(SECOND) : BYTES_OF(FIRST));
    put_u16be(&w, 2);
    put_u64be(&w, header->copy_len);
    put_u64be(&w, header->sequence);
    put_zeros(&w, 48); /* label */
    put(&w, bytes_of_text("sha256"));
    put_zeros(&w, 32 - strlen("sha256"));
    put(&w, (struct bytes){ salt, 64 });
    put(&w, BYTES_OF(header->uuid));
    put_zeros(&w, 48); /* subsystem */
    put_u64be(&w, is_second ? header->copy_len : 0);
    memcpy(at + LUKS2_BINARY_LEN, json.at, json.len);
    sha256_of((struct bytes){ at, (size_t) header->copy_len }, digest);
    memcpy(at + CHECKSUM_AT, digest, sizeof digest);
    return true;
}
