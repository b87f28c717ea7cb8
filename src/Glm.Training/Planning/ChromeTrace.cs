using System.Text.Json;

namespace Glm.Training;

/// <summary>A simulated step in the trace format that Chrome (chrome://tracing) and Perfetto show.</summary>
public static class ChromeTrace
{
    /// <summary>The file's content: a row for each stage, times in microseconds.</summary>
    public static byte[] Of(PipelineSimulation simulation) => JsonSerializer.SerializeToUtf8Bytes(new
    {
        displayTimeUnit = "ms",
        traceEvents = Enumerable.Range(0, simulation.Stages)
            .Select(stage => (object)new { name = "thread_name", ph = "M", pid = 0, tid = stage, args = new { name = $"stage {stage}" } })
            .Concat(simulation.Tasks.Select(task => (object)new
            {
                name = $"{(task.Task.Forward ? "forward" : "backward")} {task.Task.MicroBatch}",
                cat = task.Task.Forward ? "forward" : "backward",
                ph = "X",
                ts = task.Start * 1e6,
                dur = (task.End - task.Start) * 1e6,
                pid = 0,
                tid = task.Stage,
            })),
    });
}
