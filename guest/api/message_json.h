/* A message as JSON, for rules that judge requests: every field under its name, also those at their default. */
#pragma once

#include "guest/api/message.h"

struct json_object;

/*
 * The message's fields as one JSON object. Numbers, booleans and text as they are; an enum by the name of its
 * value; bytes by their length, a number; a message that is not there as null. Messages of ours hold no floats and no
 * maps; their text was checked to be UTF-8 when they were read.
 */
struct json_object *message_to_json(const ProtobufCMessage *message); /* yours */
