"""Keeps the planner's picture of the queue fresh.

After a quiet time a burst of jobs makes every fetch quadratic until the next autoanalyze
(procrastinate issue 1242), so the queue table is analysed after every 200 changed rows.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0001_first_tables"),
        ("procrastinate", "__first__"),
    ]

    operations = [
        migrations.RunSQL(
            sql="ALTER TABLE procrastinate_jobs SET "
            "(autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 200)",
            reverse_sql="ALTER TABLE procrastinate_jobs RESET "
            "(autovacuum_analyze_scale_factor, autovacuum_analyze_threshold)",
        ),
    ]
