-- SPDX-License-Identifier: Apache-2.0
--
-- Mutators for the tests with real clients, beside those of the chat.

-- Not idempotent: shows how often it ran, and in which order.
create function append_message(args jsonb) returns void language sql as $$
	update message set content = content || (args->>'text')
	where id = args->>'id' and not deleted
$$;
select replicache_register_mutator('appendMessage', 'append_message');

-- Fails after it has written.
create function failing_mutator(args jsonb) returns void language plpgsql as $$
begin
	insert into message (id, sender, content, ord)
	values (args->>'id', args->>'from', args->>'content', 0);
	raise exception 'this one always fails';
end
$$;
select replicache_register_mutator('failingMutator', 'failing_mutator');
