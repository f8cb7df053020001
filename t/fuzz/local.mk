# SPDX-License-Identifier: Apache-2.0
# The fuzz targets: as tests that replay their corpora, and to be searched by
# libFuzzer. Part of Makefile.am.

unit_tests += \
	t/fuzz/fuzz_framing.t \
	t/fuzz/fuzz_protocol.t \
	t/fuzz/fuzz_request.t \
	t/fuzz/fuzz_result.t \
	t/fuzz/fuzz_scan.t \
	t/fuzz/fuzz_settings.t \
	t/fuzz/fuzz_stream.t \
	t/fuzz/fuzz_token.t

# The main() of those, where libFuzzer's is not.
check_LIBRARIES = t/fuzz/libreplay.a
t_fuzz_libreplay_a_SOURCES = t/fuzz/fuzz.h t/fuzz/replay.c

wrap_fuzz_request = write
wrap_fuzz_stream = send streams_version streams_admit streams_dismiss streams_add
wrap_fuzz_result = db_send_id db_sync db_take db_finish

# What drives t/114-scan-differential.t.
t_fuzz_differential_SOURCES = t/fuzz/differential.c t/fuzz/digest.c \
	t/fuzz/digest.h t/fuzz/documents.c t/fuzz/documents.h
t_fuzz_differential_LDADD = common/libcommon.a $(PQ_LIBS)

# For libFuzzer all of the program is compiled by clang, beside what is compiled
# for use.
fuzz_sanitizers = -fsanitize=address,undefined -fno-sanitize-recover=all
fuzz_objects = $(patsubst %.c,fuzz/%.o,$(filter %.c, \
	$(common_libcommon_a_SOURCES) $(cgi_libcgi_a_SOURCES)))
fuzz_programs = $(patsubst t/fuzz/%.t,fuzz/%,$(filter t/fuzz/%,$(unit_tests)))
fuzz/%.o: $(srcdir)/%.c
	$(AM_V_CC)$(MKDIR_P) $(@D) && \
	$(CLANG) -std=gnu17 -D_GNU_SOURCE $(AM_CPPFLAGS) -I. -O1 -g \
	    -fno-omit-frame-pointer -fsanitize=fuzzer-no-link \
	    $(fuzz_sanitizers) -pthread -MMD -c -o $@ $<
fuzz/program.a: $(fuzz_objects)
	$(AM_V_AR)rm -f $@ && $(AR) crs $@ $(fuzz_objects)
fuzz/fuzz_%: fuzz/t/fuzz/fuzz_%.o fuzz/program.a
	$(AM_V_CCLD)$(CLANG) -fsanitize=fuzzer $(fuzz_sanitizers) -pthread \
	    $(call wrap,$@) -o $@ $< fuzz/program.a \
	    $(filter-out %.a,$(LDADD))
# Kept between runs, as what they need.
.SECONDARY: $(fuzz_programs:fuzz/%=fuzz/t/fuzz/%.o)
-include $(wildcard fuzz/*/*.d fuzz/*/*/*.d)

# For make check-long PART=fuzz; by a make of its own, after all.
fuzz-programs: all
	@$(MAKE) $(AM_MAKEFLAGS) $(fuzz_programs)

# The corpora anew, of what has been found; into the source folder.
fuzz-corpus: $(fuzz_programs)
	$(srcdir)/t/fuzz/run minimise $(or $(TARGET),$(fuzz_programs:fuzz/fuzz_%=%))
clean-local:
	rm -rf fuzz
.PHONY: fuzz-corpus fuzz-programs
