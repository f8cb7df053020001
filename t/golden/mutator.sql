-- t/golden/mutator.sql: made by make golden, compared by t/235-sql-golden.t. Of:
--
-- create function create_item(args jsonb) returns void language sql as 'select';
-- select replicache_register_mutator('createItem', 'create_item');

-- replicache_mutator.call

select public.create_item($5::pg_catalog.jsonb) where public.replicache_enter($1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.int8, $4::pg_catalog.text, $6::pg_catalog.text) is not null

-- replicache_mutator.run

select public.create_item($1)
