#include "guest/api/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct budget {
    size_t left;
    bool   exceeded;
};

static void *budget_alloc(void *owner, size_t len)
{
    struct budget *budget = owner;

    if (len > budget->left) {
        budget->exceeded = true;
        return NULL;
    }
    budget->left -= len;
    return malloc(len);
}

static void budget_free(void *owner, void *block)
{
    (void) owner;
    wiped_free(block); /* any message may have had a secret in it */
}

static FALLIBLE check_fields(const ProtobufCMessage *message, enum message_form form, unsigned depth, struct err *err);

static FALLIBLE check_value(const ProtobufCFieldDescriptor *field, const void *value, enum message_form form,
                            unsigned depth, struct err *err)
{
    const void *pointed = *(const void *const *) value;

    if (!pointed)
        return true;
    if (field->type == PROTOBUF_C_TYPE_STRING && !is_utf8(bytes_of_text(pointed)))
        return fail_with(err, ERR_MALFORMED, "%s: not UTF-8", field->name);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return check_fields(pointed, form, depth + 1, err) || context(err, field->name);
    return true;
}

static FALLIBLE check_field(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                            enum message_form form, unsigned depth, struct err *err)
{
    const uint8_t *at = (const uint8_t *) message;

    if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
        return true;
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return check_value(field, at + field->offset, form, depth, err);

    size_t             n      = *(const size_t *) (const void *) (at + field->quantifier_offset);
    const void *const *values = *(const void *const *const *) (const void *) (at + field->offset);
    for (size_t i = 0; i < n; i++)
        if (!check_value(field, &values[i], form, depth, err))
            return false;
    return true;
}

static FALLIBLE check_fields(const ProtobufCMessage *message, enum message_form form, unsigned depth, struct err *err)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;

    if (depth > MESSAGE_DEPTH_MAX)
        return fail_with(err, ERR_LIMIT, "messages nested over %d deep", MESSAGE_DEPTH_MAX);
    if (form == MESSAGE_EXACT && message->n_unknown_fields > 0)
        return fail_with(err, ERR_MALFORMED, "unknown field %u", message->unknown_fields[0].tag);
    for (unsigned i = 0; i < type->n_fields; i++)
        if (!check_field(message, &type->fields[i], form, depth, err))
            return false;
    return true;
}

/* Takes what a message would be written as, and keeps none of it: a copy would be one more to wipe. */
struct comparison {
    ProtobufCBuffer base;
    struct bytes    left; /* of what it is to be */
    bool            differs;
};

static void compare(ProtobufCBuffer *buffer, size_t len, const uint8_t *at)
{
    struct comparison *c = (struct comparison *) buffer;

    c->differs = c->differs || len > c->left.len || (len > 0 && memcmp(at, c->left.at, len) != 0);
    if (!c->differs && len > 0)
        c->left = (struct bytes){ c->left.at + len, c->left.len - len };
}

/* What cannot be written back as it came has a second meaning: a zero inside text, a field given twice. */
static FALLIBLE check_exact(const ProtobufCMessage *message, struct bytes wire, struct err *err)
{
    struct comparison c = { .base = { compare }, .left = wire };

    (void) protobuf_c_message_pack_to_buffer(message, &c.base); /* gives the length */
    return (!c.differs && c.left.len == 0) ||
           fail_with(err, ERR_MALFORMED, "not in the one encoding that is accepted");
}

FALLIBLE message_read(const ProtobufCMessageDescriptor *type, struct bytes wire, enum message_form form,
                      ProtobufCMessage **out, struct err *err)
{
    struct budget             budget    = { .left = MESSAGE_MEMORY_MAX };
    ProtobufCAllocator        allocator = { budget_alloc, budget_free, &budget };
    AUTO(message) ProtobufCMessage *read = NULL;

    if (wire.len > MESSAGE_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "%s: %zu bytes, most is %d", type->name, wire.len, MESSAGE_LEN_MAX);
    read = protobuf_c_message_unpack(type, &allocator, wire.len, wire.at);
    if (!read && budget.exceeded)
        return fail_with(err, ERR_LIMIT, "%s: takes over %d bytes of memory", type->name, MESSAGE_MEMORY_MAX);
    if (!read)
        return fail_with(err, ERR_MALFORMED, "%s: not a protobuf message", type->name);
    if (!check_fields(read, form, 0, err) || (form == MESSAGE_EXACT && !check_exact(read, wire, err)))
        return context(err, type->name);

    *out = TAKE(read);
    return true;
}

void message_append(struct buffer *out, const ProtobufCMessage *message)
{
    size_t   len = protobuf_c_message_get_packed_size(message);
    uint8_t *at  = buffer_extend(out, len);

    (void) protobuf_c_message_pack(message, at); /* returns the size just asked for */
}

ProtobufCMessage *message_copy(const ProtobufCMessage *message)
{
    AUTO(buffer) struct buffer wire = WIPED_BUFFER;
    ProtobufCMessage          *copy = NULL;
    struct err                 err;

    message_append(&wire, message);
    if (!message_read(message->descriptor, buffer_bytes(&wire), MESSAGE_LOOSE, &copy, &err))
        abort(); /* it was read just so a moment ago */
    return copy;
}

void message_free(ProtobufCMessage *message)
{
    ProtobufCAllocator wiping = { .free = budget_free };

    protobuf_c_message_free_unpacked(message, &wiping);
}
