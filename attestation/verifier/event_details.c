#include "attestation/verifier/event_details.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum {
    EV_POST_CODE = 0x1, GUID_LEN = 16, PATHS_MAX = 64, CONTENT_LEN_MAX = 64 * 1024,
    AAEL_TAG = 0x4141454c /* "AAEL", events that CoCo's attestation agent extends [evidence-formats.md 3.1] */
};
#define EV_EFI_BOOT_SERVICES_APPLICATION EV_EFI(0x3)
#define EV_EFI_PLATFORM_FIRMWARE_BLOB2   EV_EFI(0xa)
#define EV_EFI_HANDOFF_TABLES2           EV_EFI(0xb)

/* Text without the zeros that end it; what is not UTF-8 is left out. */
static void add_string(struct json_object *to, const char *name, struct bytes text)
{
    while (text.len > 0 && text.at[text.len - 1] == 0)
        text.len--;
    if (is_utf8(text) && (text.len == 0 || !memchr(text.at, 0, text.len)))
        json_add(to, name, json_object_new_string_len(text.len > 0 ? (const char *) text.at : "", (int) text.len));
}

static void utf8_append(struct buffer *out, uint32_t c)
{
    if (c < 0x80)
        buffer_printf(out, "%c", (int) c);
    else if (c < 0x800)
        buffer_printf(out, "%c%c", (int) (0xc0 | c >> 6), (int) (0x80 | (c & 63)));
    else if (c < 0x10000)
        buffer_printf(out, "%c%c%c", (int) (0xe0 | c >> 12), (int) (0x80 | (c >> 6 & 63)), (int) (0x80 | (c & 63)));
    else
        buffer_printf(out, "%c%c%c%c", (int) (0xf0 | c >> 18), (int) (0x80 | (c >> 12 & 63)), (int) (0x80 | (c >> 6 & 63)),
                      (int) (0x80 | (c & 63)));
}

/* UTF-16, up to a zero or the end; false for half a surrogate pair. */
static bool utf16_append(struct buffer *out, struct bytes text)
{
    struct reader r = reader_over(text);

    while (r.left.len >= 2) {
        uint32_t c = take_u16le(&r);

        if (c == 0)
            return true;
        if (c >= 0xd800 && c < 0xe000) {
            uint32_t low = take_u16le(&r);

            if (r.failed || c >= 0xdc00 || low < 0xdc00 || low >= 0xe000)
                return false;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
        utf8_append(out, c);
    }
    return true;
}

/* Mixed endian, in upper case, as UEFI prints it. */
static void guid_append(struct buffer *out, struct bytes guid)
{
    static const uint8_t order[GUID_LEN] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

    for (size_t i = 0; i < GUID_LEN; i++)
        buffer_printf(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02X" : "%02X", guid.at[order[i]]);
}

static struct bytes until_zero(struct bytes text)
{
    const uint8_t *zero = text.len > 0 ? memchr(text.at, 0, text.len) : NULL;

    return (struct bytes){ text.at, zero ? (size_t) (zero - text.at) : text.len };
}

/* GRUB's text ends at its zero; the stub of a unified kernel image names a section, ".linux", in UTF-16. */
static bool loader_details(struct bytes data, struct json_object *to)
{
    AUTO(buffer) struct buffer name = { 0 };

    if (data.len < 4 || data.at[1] != 0) {
        add_string(to, "string", until_zero(data));
        return true;
    }
    if (!utf16_append(&name, data))
        return false;
    json_add_text(to, "string", buffer_text(&name) + (name.len > 0 && name.at[0] == '.'));
    return true;
}

/* A text, or what td-shim measures: a name of 16 bytes, a length, and text or a structure. */
static bool flags_details(struct bytes data, struct json_object *to)
{
    enum { NAME_LEN = 16 };
    AUTO(buffer) struct buffer both = { 0 };
    struct reader              r    = reader_over(data);
    struct bytes               name = until_zero(data), text;
    struct err                 err;

    if (data.len == name.len || bytes_are_zero((struct bytes){ data.at + name.len, data.len - name.len })) {
        add_string(to, "string", name);
        return true;
    }
    take(&r, NAME_LEN);
    take(&r, 4); /* length of the area; the text in it may be shorter */
    text = until_zero(take_rest(&r));
    if (!reader_ok(&r, &err) || name.len > NAME_LEN)
        return false;
    if (text.len > 0 && is_utf8(data)) { /* a structure has no text, and CoCo says so with an empty one */
        buffer_append(&both, name);
        buffer_append_text(&both, " ");
        buffer_append(&both, text);
    }
    add_string(to, "string", buffer_bytes(&both));
    return true;
}

/* UEFI_VARIABLE_DATA. CoCo writes the GUID as its bytes lie. */
static bool variable_details(struct bytes data, struct json_object *to)
{
    AUTO(buffer) struct buffer name = { 0 }, guid = { 0 }, base64 = { 0 };
    struct reader              r         = reader_over(data);
    struct bytes               vendor    = take(&r, GUID_LEN);
    uint64_t                   n_name    = take_u64le(&r);
    uint64_t                   n_content = take_u64le(&r);
    struct bytes               text, content;
    struct err                 err;

    if (!reader_ok(&r, &err) || n_name > r.left.len / 2)
        return false;
    text    = take(&r, (size_t) n_name * 2);
    content = n_content <= r.left.len ? take(&r, (size_t) n_content) : (struct bytes){ 0 };
    if (!reader_ok(&r, &err) || content.len != n_content || !utf16_append(&name, text))
        return false;
    for (size_t i = 0; i < GUID_LEN; i++)
        buffer_printf(&guid, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", vendor.at[i]);
    base64_append(&base64, content, BASE64_STANDARD);
    json_add_text(to, "unicode_name", buffer_text(&name));
    json_add(to, "unicode_name_length", json_object_new_uint64(n_name));
    json_add_text(to, "variable_name", buffer_text(&guid));
    json_add_text(to, "variable_data", buffer_text(&base64));
    json_add(to, "variable_data_length", json_object_new_uint64(n_content));
    return true;
}

static void generic_node_append(struct buffer *out, unsigned type, unsigned subtype, struct bytes content)
{
    buffer_printf(out, "Path(%u,%u,", type, subtype);
    hex_append(out, content);
    buffer_append_text(out, ")");
}

/* A partition of a GPT disk: number, start, size, GUID, format 2, signature type 2. */
static bool partition_append(struct buffer *out, struct bytes content)
{
    struct reader r         = reader_over(content);
    uint32_t      number    = take_u32le(&r);
    uint64_t      start     = take_u64le(&r);
    uint64_t      size      = take_u64le(&r);
    struct bytes  guid      = take(&r, GUID_LEN);
    uint8_t       format    = take_u8(&r);
    uint8_t       signature = take_u8(&r);
    struct err    err;

    if (!reader_done(&r, &err) || format != 2 || signature != 2)
        return false;
    buffer_printf(out, "HD(%u,GPT,", number);
    guid_append(out, guid);
    buffer_printf(out, ",%#llx,%#llx)", (unsigned long long) start, (unsigned long long) size);
    return true;
}

static bool file_append(struct buffer *out, struct bytes content)
{
    AUTO(buffer) struct buffer name = { 0 };

    if (!utf16_append(&name, content))
        return false;
    buffer_printf(out, "File(%s)", buffer_text(&name));
    return true;
}

/* One node in UEFI's text form, where it is of a kind that boots of guests have; else its bytes. [UEFI 10.6] */
static void node_append(struct buffer *out, unsigned type, unsigned subtype, struct bytes content)
{
    enum { HARDWARE = 1, ACPI = 2, MEDIA = 4, PNP = 0x41d0 };

    if (type == HARDWARE && subtype == 1 && content.len == 2) {
        buffer_printf(out, "Pci(%u,%u)", content.at[0], content.at[1]);
    } else if (type == ACPI && subtype == 1 && content.len == 8 && (content.at[0] | content.at[1] << 8) == PNP) {
        struct reader r = reader_over((struct bytes){ content.at + 4, 4 });

        buffer_printf(out, "ACPI(PNP%02X%02X,%u)", content.at[3], content.at[2], take_u32le(&r));
    } else if (type == MEDIA && subtype == 3 && content.len >= GUID_LEN) {
        buffer_append_text(out, "VenMedia(");
        guid_append(out, content);
        buffer_append_text(out, ",");
        hex_append(out, (struct bytes){ content.at + GUID_LEN, content.len - GUID_LEN });
        buffer_append_text(out, ")");
    } else if (!(type == MEDIA && subtype == 1 && partition_append(out, content)) &&
               !(type == MEDIA && subtype == 4 && file_append(out, content))) {
        generic_node_append(out, type, subtype, content);
    }
}

/* UEFI_IMAGE_LOAD_EVENT: where it was loaded, and from where. */
static bool image_details(struct bytes data, struct json_object *to)
{
    enum { END = 0x7f, NODE_HEADER_LEN = 4 };
    AUTO(json) struct json_object *paths = json_object_new_array();
    struct reader                  r     = reader_over(data);
    struct err                     err;

    take(&r, 24); /* address, size, link address */
    uint64_t      len  = take_u64le(&r);
    struct reader path = take_reader(&r, len <= r.left.len ? (size_t) len : SIZE_MAX);

    while (reader_ok(&path, &err) && path.left.len > 0 && json_object_array_length(paths) < PATHS_MAX) {
        AUTO(buffer) struct buffer text    = { 0 };
        unsigned                   type    = take_u8(&path);
        unsigned                   subtype = take_u8(&path);
        size_t                     n       = take_u16le(&path);
        struct bytes               content = take(&path, n >= NODE_HEADER_LEN ? n - NODE_HEADER_LEN : SIZE_MAX);

        if (!reader_ok(&path, &err) || type == END)
            break;
        node_append(&text, type, subtype, content);
        (void) json_object_array_add(paths, json_object_new_string(buffer_text(&text))); /* fails only without memory */
    }
    if (path.failed)
        return false;
    if (json_object_array_length(paths) > 0)
        json_add(to, "device_paths", TAKE(paths));
    return true;
}

/* "domain operation content"; content becomes JSON where it is some. */
static void agent_details(struct bytes text, struct json_object *to)
{
    AUTO(json) struct json_object *parsed = NULL;
    struct json_object            *data   = json_object_new_object();
    struct bytes                   part[2];
    struct err                     err;

    json_add_text(to, "unicode_name", "AAEL");
    add_string(to, "string", text);
    for (size_t i = 0; i < 2; i++) {
        const uint8_t *space = text.len > 0 ? memchr(text.at, ' ', text.len) : NULL;

        part[i] = (struct bytes){ text.at, space ? (size_t) (space - text.at) : text.len };
        text    = (struct bytes){ text.at + part[i].len + (space != NULL), text.len - part[i].len - (space != NULL) };
    }
    add_string(data, "domain", part[0]);
    add_string(data, "operation", part[1]);
    if (text.len > 0 && json_read(text, CONTENT_LEN_MAX, &parsed, &err) && parsed)
        json_add(data, "content", TAKE(parsed));
    else
        add_string(data, "content", text);
    json_add(to, "data", data);
}

/* TCG_PCClientTaggedEvent. */
static bool tag_details(struct bytes data, struct json_object *to)
{
    struct reader r    = reader_over(data);
    uint32_t      tag  = take_u32le(&r);
    uint32_t      size = take_u32le(&r);
    struct bytes  text = take(&r, size);
    struct err    err;

    if (!reader_ok(&r, &err))
        return false;
    if (tag == AAEL_TAG)
        agent_details(text, to);
    else
        add_string(to, "string", text);
    return true;
}

/* UEFI_PLATFORM_FIRMWARE_BLOB2 and UEFI_HANDOFF_TABLE_POINTERS2 begin with a description of one length byte. */
static bool described_details(struct bytes data, struct json_object *to)
{
    struct reader r    = reader_over(data);
    struct bytes  text = take(&r, take_u8(&r));
    struct err    err;

    if (!reader_ok(&r, &err))
        return false;
    add_string(to, "string", text);
    return true;
}

struct json_object *event_details(const struct event *e)
{
    AUTO(json) struct json_object *details = json_object_new_object();
    bool                           read    = true;

    switch (e->type) {
    case EV_POST_CODE:
    case EV_ACTION:
    case EV_EFI_ACTION:
        add_string(details, "string", e->data);
        break;
    case EV_PLATFORM_CONFIG_FLAGS:
        read = flags_details(e->data, details);
        break;
    case EV_IPL:
        read = loader_details(e->data, details);
        break;
    case EV_EFI_PLATFORM_FIRMWARE_BLOB2:
    case EV_EFI_HANDOFF_TABLES2:
        read = described_details(e->data, details);
        break;
    case EV_EFI_VARIABLE_DRIVER_CONFIG:
    case EV_EFI_VARIABLE_BOOT:
    case EV_EFI_VARIABLE_BOOT2:
    case EV_EFI_VARIABLE_AUTHORITY:
        read = variable_details(e->data, details);
        break;
    case EV_EFI_BOOT_SERVICES_APPLICATION:
        read = image_details(e->data, details);
        break;
    case EV_EVENT_TAG:
        read = tag_details(e->data, details);
        break;
    default:
        break;
    }
    return read ? TAKE(details) : json_object_new_object();
}
