-- SPDX-License-Identifier: Apache-2.0
--
-- A made-up upgrade, for a test: schema 4 has another value in that column. It
-- fails, half-way, where there is a table `obstacle`.

update replicache_client_group set made_up = 4;

do $$
begin
  if to_regclass('obstacle') is not null then
    raise 'there is an obstacle';
  end if;
end
$$;
