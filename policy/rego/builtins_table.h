/* One row per built-in: name, number of arguments, function. Included where the rows are turned into something. */
#define BUILTIN_ROWS_NUMBERS(X)                          \
    X("abs", 1, number_abs)                              \
    X("and", 2, set_and)                                 \
    X("bits.and", 2, bits_and)                           \
    X("bits.lsh", 2, bits_lsh)                           \
    X("bits.negate", 1, bits_negate)                     \
    X("bits.or", 2, bits_or)                             \
    X("bits.rsh", 2, bits_rsh)                           \
    X("bits.xor", 2, bits_xor)                           \
    X("ceil", 1, number_ceil)                            \
    X("div", 2, number_div)                              \
    X("equal", 2, compare_equal)                         \
    X("floor", 1, number_floor)                          \
    X("format_int", 2, number_format_int)                \
    X("gt", 2, compare_gt)                               \
    X("gte", 2, compare_gte)                             \
    X("lt", 2, compare_lt)                               \
    X("lte", 2, compare_lte)                             \
    X("minus", 2, number_minus)                          \
    X("mul", 2, number_mul)                              \
    X("neq", 2, compare_neq)                             \
    X("numbers.range", 2, numbers_range)                 \
    X("numbers.range_step", 3, numbers_range_step)       \
    X("or", 2, set_or)                                   \
    X("plus", 2, number_plus)                            \
    X("rem", 2, number_rem)                              \
    X("round", 1, number_round)                          \
    X("to_number", 1, number_to_number)

#define BUILTIN_ROWS_COLLECTIONS(X)                      \
    X("array.concat", 2, array_concat)                   \
    X("array.flatten", 1, array_flatten)                 \
    X("array.reverse", 1, array_reverse)                 \
    X("array.slice", 3, array_slice)                     \
    X("count", 1, collection_count)                      \
    X("internal.member_2", 2, collection_member_2)       \
    X("internal.member_3", 3, collection_member_3)       \
    X("intersection", 1, set_intersection)               \
    X("max", 1, collection_max)                          \
    X("min", 1, collection_min)                          \
    X("product", 1, collection_product)                  \
    X("set_diff", 2, set_difference)                     \
    X("sort", 1, collection_sort)                        \
    X("sum", 1, collection_sum)                          \
    X("union", 1, set_union)                             \
    X("all", 1, collection_all)                          \
    X("any", 1, collection_any)

#define BUILTIN_ROWS_TYPES(X)                            \
    X("cast_array", 1, cast_array)                       \
    X("cast_boolean", 1, cast_boolean)                   \
    X("cast_null", 1, cast_null)                         \
    X("cast_object", 1, cast_object)                     \
    X("cast_set", 1, cast_set)                           \
    X("cast_string", 1, cast_string)                     \
    X("is_array", 1, is_array)                           \
    X("is_boolean", 1, is_boolean)                       \
    X("is_null", 1, is_null)                             \
    X("is_number", 1, is_number)                         \
    X("is_object", 1, is_object)                         \
    X("is_set", 1, is_set)                               \
    X("is_string", 1, is_string)                         \
    X("type_name", 1, type_name)

#define BUILTIN_ROWS_TEXTS(X)                            \
    X("concat", 2, text_concat)                          \
    X("contains", 2, text_contains)                      \
    X("endswith", 2, text_endswith)                      \
    X("indexof", 2, text_indexof)                        \
    X("indexof_n", 2, text_indexof_n)                    \
    X("lower", 1, text_lower)                            \
    X("replace", 3, text_replace)                        \
    X("split", 2, text_split)                            \
    X("startswith", 2, text_startswith)                  \
    X("strings.any_prefix_match", 2, text_any_prefix)    \
    X("strings.any_suffix_match", 2, text_any_suffix)    \
    X("strings.count", 2, text_count)                    \
    X("strings.replace_n", 2, text_replace_n)            \
    X("strings.reverse", 1, text_reverse)                \
    X("strings.split_n", 3, text_split_n)                \
    X("substring", 3, text_substring)                    \
    X("trim", 2, text_trim)                              \
    X("trim_left", 2, text_trim_left)                    \
    X("trim_prefix", 2, text_trim_prefix)                \
    X("trim_right", 2, text_trim_right)                  \
    X("trim_space", 1, text_trim_space)                  \
    X("trim_suffix", 2, text_trim_suffix)                \
    X("upper", 1, text_upper)

#define BUILTIN_ROWS_OBJECTS(X)                          \
    X("json.filter", 2, json_filter)                     \
    X("json.remove", 2, json_remove)                     \
    X("object.filter", 2, object_filter)                 \
    X("object.get", 3, object_get)                       \
    X("object.keys", 1, object_keys)                     \
    X("object.remove", 2, object_remove)                 \
    X("object.subset", 2, object_subset)                 \
    X("object.union", 2, object_union)                   \
    X("object.union_n", 1, object_union_n)               \
    X("walk", 1, object_walk)

#define BUILTIN_ROWS_PATCH(X)                            \
    X("json.patch", 2, json_patch)

#define BUILTIN_ROWS_ENCODINGS(X)                        \
    X("base64.decode", 1, base64_decode)                 \
    X("base64.encode", 1, base64_encode)                 \
    X("base64.is_valid", 1, base64_is_valid)             \
    X("base64url.decode", 1, base64url_decode)           \
    X("base64url.encode", 1, base64url_encode)           \
    X("base64url.encode_no_pad", 1, base64url_encode_no_pad) \
    X("hex.decode", 1, hex_decode)                       \
    X("hex.encode", 1, hex_encode)                       \
    X("json.is_valid", 1, json_is_valid)                 \
    X("json.marshal", 1, json_marshal)                   \
    X("json.marshal_with_options", 2, json_marshal_with_options) \
    X("json.unmarshal", 1, json_unmarshal)               \
    X("urlquery.decode", 1, urlquery_decode)             \
    X("urlquery.decode_object", 1, urlquery_decode_object) \
    X("urlquery.encode", 1, urlquery_encode)             \
    X("urlquery.encode_object", 1, urlquery_encode_object)

#define BUILTIN_ROWS_PRINTING(X)                         \
    X("internal.print", 1, print_line)                   \
    X("internal.template_string", 1, template_string)    \
    X("opa.runtime", 0, opa_runtime)                     \
    X("sprintf", 2, print_sprintf)                       \
    X("trace", 1, print_trace)

#define BUILTIN_ROWS_REGEX(X)                            \
    X("glob.match", 3, glob_match)                       \
    X("glob.quote_meta", 1, glob_quote_meta)             \
    X("re_match", 2, regex_match)                        \
    X("regex.find_all_string_submatch_n", 3, regex_find_groups_n) \
    X("regex.find_n", 3, regex_find_n)                   \
    X("regex.is_valid", 1, regex_is_valid)               \
    X("regex.match", 2, regex_match)                     \
    X("regex.replace", 3, regex_replace)                 \
    X("regex.split", 2, regex_split)                     \
    X("regex.template_match", 4, regex_template_match)

#define BUILTIN_ROWS_TIME(X)                             \
    X("time.add_date", 4, time_add_date)                 \
    X("time.clock", 1, time_clock)                       \
    X("time.date", 1, time_date)                         \
    X("time.diff", 2, time_diff)                         \
    X("time.format", 1, time_format)                     \
    X("time.now_ns", 0, time_now_ns)                     \
    X("time.parse_duration_ns", 1, time_parse_duration_ns) \
    X("time.parse_ns", 2, time_parse_ns)                 \
    X("time.parse_rfc3339_ns", 1, time_parse_rfc3339_ns) \
    X("time.weekday", 1, time_weekday)

#define BUILTIN_ROWS_CRYPTO(X)                           \
    X("crypto.hmac.equal", 2, crypto_hmac_equal)         \
    X("crypto.hmac.md5", 2, crypto_hmac_md5)             \
    X("crypto.hmac.sha1", 2, crypto_hmac_sha1)           \
    X("crypto.hmac.sha256", 2, crypto_hmac_sha256)       \
    X("crypto.hmac.sha512", 2, crypto_hmac_sha512)       \
    X("crypto.md5", 1, crypto_md5)                       \
    X("crypto.sha1", 1, crypto_sha1)                     \
    X("crypto.sha256", 1, crypto_sha256)                 \
    X("rand.intn", 2, rand_intn)                         \
    X("uuid.parse", 1, uuid_parse)                       \
    X("uuid.rfc4122", 1, uuid_rfc4122)

#define BUILTIN_ROWS_UNITS(X)                            \
    X("units.parse", 1, units_parse)                     \
    X("units.parse_bytes", 1, units_parse_bytes)

#define BUILTIN_ROWS_NET(X)                              \
    X("net.cidr_contains", 2, net_cidr_contains)         \
    X("net.cidr_contains_matches", 2, net_cidr_contains_matches) \
    X("net.cidr_expand", 1, net_cidr_expand)             \
    X("net.cidr_intersects", 2, net_cidr_intersects)     \
    X("net.cidr_is_valid", 1, net_cidr_is_valid)         \
    X("net.cidr_merge", 1, net_cidr_merge)               \
    X("net.cidr_overlap", 2, net_cidr_contains)

#define BUILTIN_ROWS_GRAPH(X)                            \
    X("graph.reachable", 2, graph_reachable)             \
    X("graph.reachable_paths", 2, graph_reachable_paths) \
    X("semver.compare", 2, semver_compare)               \
    X("semver.is_valid", 1, semver_is_valid)

#define BUILTIN_ROWS(X)         \
    BUILTIN_ROWS_NET(X)         \
    BUILTIN_ROWS_GRAPH(X)       \
    BUILTIN_ROWS_TIME(X)        \
    BUILTIN_ROWS_CRYPTO(X)      \
    BUILTIN_ROWS_UNITS(X)       \
    BUILTIN_ROWS_REGEX(X)       \
    BUILTIN_ROWS_OBJECTS(X)     \
    BUILTIN_ROWS_PATCH(X)       \
    BUILTIN_ROWS_ENCODINGS(X)   \
    BUILTIN_ROWS_PRINTING(X)    \
    BUILTIN_ROWS_NUMBERS(X)     \
    BUILTIN_ROWS_COLLECTIONS(X) \
    BUILTIN_ROWS_TYPES(X)       \
    BUILTIN_ROWS_TEXTS(X)
