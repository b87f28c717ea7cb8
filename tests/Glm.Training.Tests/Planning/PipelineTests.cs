namespace Glm.Training.Tests;

public sealed class PipelineTests
{
    public static TheoryData<PipelineOrder, int, int> Shapes()
    {
        var data = new TheoryData<PipelineOrder, int, int>();
        foreach (var kind in Enum.GetValues<PipelineOrder>())
            foreach (var (stages, microBatches) in new[] { (1, 1), (1, 5), (2, 1), (3, 2), (4, 4), (4, 9), (8, 176) }) data.Add(kind, stages, microBatches);
        return data;
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Every_stage_does_both_passes_of_every_micro_batch_and_holds_no_more_than_it_must(PipelineOrder kind, int stages, int microBatches)
    {
        for (int stage = 0; stage < stages; stage++)
        {
            bool[] order = [.. PipelineSchedule.Of(kind, stage, stages, microBatches)];
            Assert.Equal((microBatches, microBatches), (order.Count(forward => forward), order.Count(forward => !forward)));
            int inFlight = 0, most = 0;
            foreach (bool forward in order)
            {
                inFlight += forward ? 1 : -1;
                Assert.InRange(inFlight, 0, microBatches);
                most = Math.Max(most, inFlight);
            }
            Assert.Equal(PipelineSchedule.InFlight(kind, stage, stages, microBatches), most);
        }
    }

    /// <summary>The paper's bubble: with equal stages both schedules take (m + p - 1) times both passes.</summary>
    [Theory]
    [MemberData(nameof(Shapes))]
    public void Equal_stages_wait_as_the_formula_says(PipelineOrder kind, int stages, int microBatches)
    {
        var simulation = PipelineSimulation.Run(kind, [.. Enumerable.Repeat((1.0, 3.0), stages)], microBatches);
        Assert.Equal(4.0 * (microBatches + stages - 1), simulation.Seconds, 1e-9);
        Assert.Equal((stages - 1.0) / (microBatches + stages - 1), simulation.Bubble, 1e-9);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Nothing_runs_before_what_it_needs_or_beside_another_task_of_its_stage(PipelineOrder kind, int stages, int microBatches)
    {
        var random = new Random(stages * 1000 + microBatches);
        const double Transfer = 0.25;
        var simulation = PipelineSimulation.Run(kind, [.. Enumerable.Range(0, stages).Select(_ => (random.NextDouble() + 0.1, random.NextDouble() + 0.1))], microBatches, Transfer);
        var ends = simulation.Tasks.ToDictionary(task => (task.Stage, task.Forward, task.MicroBatch), task => task.End);
        foreach (var stage in simulation.Tasks.GroupBy(task => task.Stage))
        {
            double free = 0;
            foreach (var task in stage)
            {
                Assert.True(task.Start >= free);
                free = task.End;
                int from = task.Forward ? task.Stage - 1 : task.Stage + 1;
                if (from >= 0 && from < stages) Assert.True(task.Start >= ends[(from, task.Forward, task.MicroBatch)] + Transfer);
                else if (!task.Forward) Assert.True(task.Start >= ends[(task.Stage, true, task.MicroBatch)]);
            }
        }
        Assert.Equal(simulation.Seconds, ends.Values.Max());
    }

    [Fact]
    public void A_trace_has_every_task()
    {
        var simulation = PipelineSimulation.Run(PipelineOrder.OneForwardOneBackward, [(1, 2), (1, 2)], 3);
        var events = System.Text.Json.JsonDocument.Parse(ChromeTrace.Of(simulation)).RootElement.GetProperty("traceEvents").EnumerateArray().ToArray();
        Assert.Equal(2, events.Count(entry => entry.GetProperty("ph").GetString() == "M"));
        var tasks = events.Where(entry => entry.GetProperty("ph").GetString() == "X").ToArray();
        Assert.Equal(12, tasks.Length);
        Assert.Equal(12e6, tasks.Max(entry => entry.GetProperty("ts").GetDouble() + entry.GetProperty("dur").GetDouble()), 1e-3);
        Assert.Contains(tasks, entry => entry.GetProperty("name").GetString() == "backward 2" && entry.GetProperty("tid").GetInt32() == 1);
    }
}
