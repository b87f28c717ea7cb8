namespace Glm.Training.Tests;

public sealed class PipelineTests
{
    public static TheoryData<PipelineSchedule, int, int> Shapes()
    {
        var data = new TheoryData<PipelineSchedule, int, int>();
        foreach (var schedule in Enum.GetValues<PipelineSchedule>())
            foreach (var (stages, microBatches) in new[] { (1, 1), (1, 5), (2, 1), (3, 2), (4, 4), (4, 9), (8, 176) }) data.Add(schedule, stages, microBatches);
        return data;
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Every_stage_does_both_passes_of_every_micro_batch_once_and_in_order(PipelineSchedule schedule, int stages, int microBatches)
    {
        for (int stage = 0; stage < stages; stage++)
        {
            var order = PipelineOrder.Of(schedule, stages, stage, microBatches).ToArray();
            foreach (bool forward in new[] { true, false })
                Assert.Equal(Enumerable.Range(0, microBatches), order.Where(task => task.Forward == forward).Select(task => task.MicroBatch));
            int inFlight = 0, most = 0;
            foreach (var task in order)
            {
                inFlight += task.Forward ? 1 : -1;
                Assert.InRange(inFlight, 0, microBatches);
                most = Math.Max(most, inFlight);
            }
            Assert.Equal(PipelineOrder.InFlight(schedule, stages, stage, microBatches), most);
        }
    }

    /// <summary>The paper's bubble: with equal stages both schedules take (m + p - 1) times both passes.</summary>
    [Theory]
    [MemberData(nameof(Shapes))]
    public void Equal_stages_wait_as_the_formula_says(PipelineSchedule schedule, int stages, int microBatches)
    {
        var simulation = PipelineSimulation.Run(schedule, [.. Enumerable.Repeat((1.0, 3.0), stages)], microBatches);
        Assert.Equal(4.0 * (microBatches + stages - 1), simulation.Seconds, 1e-9);
        Assert.Equal((stages - 1.0) / (microBatches + stages - 1), simulation.Bubble, 1e-9);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Nothing_runs_before_what_it_needs_or_beside_another_task_of_its_stage(PipelineSchedule schedule, int stages, int microBatches)
    {
        var random = new Random(stages * 1000 + microBatches);
        const double Transfer = 0.25;
        var simulation = PipelineSimulation.Run(schedule, [.. Enumerable.Range(0, stages).Select(_ => (random.NextDouble() + 0.1, random.NextDouble() + 0.1))], microBatches, Transfer);
        var ends = simulation.Tasks.ToDictionary(task => (task.Stage, task.Task), task => task.End);
        foreach (var stage in simulation.Tasks.GroupBy(task => task.Stage))
        {
            double free = 0;
            foreach (var task in stage)
            {
                Assert.True(task.Start >= free);
                free = task.End;
                int from = task.Task.Forward ? task.Stage - 1 : task.Stage + 1;
                if (from >= 0 && from < stages) Assert.True(task.Start >= ends[(from, task.Task)] + Transfer);
                else if (!task.Task.Forward) Assert.True(task.Start >= ends[(task.Stage, task.Task with { Forward = true })]);
            }
        }
        Assert.Equal(simulation.Seconds, ends.Values.Max());
    }

    [Fact]
    public void A_trace_has_every_task()
    {
        var simulation = PipelineSimulation.Run(PipelineSchedule.OneForwardOneBackward, [(1, 2), (1, 2)], 3);
        var events = System.Text.Json.JsonDocument.Parse(ChromeTrace.Of(simulation)).RootElement.GetProperty("traceEvents").EnumerateArray().ToArray();
        Assert.Equal(2, events.Count(entry => entry.GetProperty("ph").GetString() == "M"));
        var tasks = events.Where(entry => entry.GetProperty("ph").GetString() == "X").ToArray();
        Assert.Equal(12, tasks.Length);
        Assert.Equal(12e6, tasks.Max(entry => entry.GetProperty("ts").GetDouble() + entry.GetProperty("dur").GetDouble()), 1e-3);
        Assert.Contains(tasks, entry => entry.GetProperty("name").GetString() == "backward 2" && entry.GetProperty("tid").GetInt32() == 1);
    }
}
