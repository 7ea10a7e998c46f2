#include "guest/api/message_json.h"

#include <string.h>

#include "base/json.h"

static struct json_object *object_of(const ProtobufCMessage *message);

static struct json_object *number_of(const ProtobufCFieldDescriptor *field, const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_object_new_int(*(const int32_t *) at);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return json_object_new_int64(*(const int64_t *) at);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_object_new_uint64(*(const uint32_t *) at);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return json_object_new_uint64(*(const uint64_t *) at);
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return NULL;
}

static struct json_object *enum_of(const ProtobufCFieldDescriptor *field, int number)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(field->descriptor, number);

    return value ? json_object_new_string(value->name) : json_object_new_int(number);
}

/* One value, where a field or an element of it lies in memory. */
static struct json_object *value_of(const ProtobufCFieldDescriptor *field, const void *at)
{
    if (field->type == PROTOBUF_C_TYPE_BOOL)
        return json_object_new_boolean(*(const protobuf_c_boolean *) at);
    if (field->type == PROTOBUF_C_TYPE_ENUM)
        return enum_of(field, *(const int *) at);
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return json_object_new_string(*(char *const *) at);
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return json_object_new_uint64(((const ProtobufCBinaryData *) at)->len);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(ProtobufCMessage *const *) at ? object_of(*(ProtobufCMessage *const *) at) : NULL;
    return number_of(field, at);
}

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        break;
    }
    return sizeof(uint32_t);
}

static struct json_object *list_of(const ProtobufCFieldDescriptor *field, const uint8_t *at, size_t n)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < n; i++)
        if (json_object_array_add(list, value_of(field, at + i * size_of(field))) != 0)
            abort();
    return list;
}

/* protobuf-c tells where each field lies in the generated struct: `offset`, and for lists `quantifier_offset`. */
static struct json_object *object_of(const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type   = message->descriptor;
    struct json_object               *object = json_object_new_object();

    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        const uint8_t                  *at    = (const uint8_t *) message + field->offset;

        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n;

            memcpy(&n, (const uint8_t *) message + field->quantifier_offset, sizeof n);
            json_add(object, field->name, list_of(field, n > 0 ? *(const uint8_t *const *) at : NULL, n));
        } else {
            json_add(object, field->name, value_of(field, at));
        }
    }
    return object;
}

struct json_object *message_to_json(const ProtobufCMessage *message)
{
    return object_of(message);
}
