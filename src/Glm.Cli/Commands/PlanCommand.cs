using System.CommandLine;
using System.Text.Json.Serialization;
using Glm.Models;
using Glm.Plots;
using Glm.Tensors;
using Glm.Training;
using Spectre.Console;

namespace Glm.Cli.Commands;

/// <summary><c>glm plan</c>: what training and inference take on hardware that need not be there.</summary>
internal static class PlanCommand
{
    private static readonly int[] Contexts = [512, 1024, 2048];

    private static readonly DType[] Precisions = [DType.Float16, DType.Int8, DType.Int4];

    public static Command Create(Terminal terminal)
    {
        var model = new Option<string>("--model") { HelpName = "PATH|PRESET", Description = "The shape: a preset, a config.json, a model's directory or a GGUF file", DefaultValueFactory = _ => "glm-130b" };
        var cluster = new Option<string>("--cluster")
        {
            HelpName = "NAME|FILE",
            Description = $"The hardware: {string.Join(", ", Cluster.Presets)}, or a YAML file such as docs/planning.md shows",
            DefaultValueFactory = _ => "dgx-a100",
        };
        var tensors = Given("--tensor-parallel", "Training: ranks that share every matrix");
        var stages = Given("--pipeline-parallel", "Training: stages of the pipeline");
        var globalBatch = Given("--global-batch", "Training: rows of an optimiser step");
        var microBatch = Given("--micro-batch", "Training: rows that run through the model together");
        var sequence = Given("--seq-length", "Training: tokens of a row");
        var steps = Given("--steps", "Training: optimiser steps of the run");
        var keep = new Option<bool>("--keep-activations") { Description = "Training: keep activations, instead of computing layers again in the backward pass" };
        var schedule = new Option<string?>("--schedule") { HelpName = "1f1b|gpipe", Description = "Training: the order in which stages compute" }.AcceptOnlyFromAmong("1f1b", "gpipe");
        var stepTime = new Option<double?>("--step-time") { HelpName = "SECONDS", Description = "Training: the measured time of a full step, to say what the devices did in it (default: the estimate)" };
        var timeline = new Option<string[]>("--timeline") { HelpName = "FILE", Description = "Training: write the simulated step, as .svg or as .json for chrome://tracing" };
        var json = Options.Json();
        return new ExampleCommand("plan", "What training and inference take on given hardware: memory, time, pipeline, utilisation, energy",
            "glm plan --cluster dgx-a100", "glm plan --step-time 88.5", "glm plan --cluster rtx-3090-4", "glm plan --model glm-10b --cluster my.yaml --tensor-parallel 4 --pipeline-parallel 2 --global-batch 512 --timeline step.svg")
        {
            model, cluster, tensors, stages, microBatch, globalBatch, sequence, steps, keep, schedule, stepTime, timeline, json,
        }.Does((parse, _) =>
        {
            var config = ConfigOf(parse.GetValue(model)!);
            var hardware = Cluster.Load(parse.GetValue(cluster)!);
            bool asked = new Option[] { tensors, stages, globalBatch, microBatch, sequence, steps, keep, schedule, stepTime, timeline }.Any(option => parse.GetResult(option) is { Implicit: false });
            TrainingPlan? training = null;
            if (asked || (hardware.Training is not null && config is Glm130BConfig))
            {
                if (config is not Glm130BConfig shape) throw new GlmException($"{parse.GetValue(model)}: expected a GLM that can be trained, found {config.Architecture}");
                var layout = hardware.Training ?? new TrainingLayout();
                training = new TrainingPlan(shape, hardware, layout with
                {
                    TensorParallel = parse.GetValue(tensors) ?? layout.TensorParallel,
                    PipelineParallel = parse.GetValue(stages) ?? layout.PipelineParallel,
                    GlobalBatch = parse.GetValue(globalBatch) ?? layout.GlobalBatch,
                    MicroBatch = parse.GetValue(microBatch) ?? layout.MicroBatch,
                    SeqLength = parse.GetValue(sequence) ?? layout.SeqLength,
                    Steps = parse.GetValue(steps) ?? layout.Steps,
                    Recompute = layout.Recompute && !parse.GetValue(keep),
                    Schedule = parse.GetValue(schedule) switch { "1f1b" => PipelineSchedule.OneForwardOneBackward, "gpipe" => PipelineSchedule.GPipe, _ => layout.Schedule },
                }, parse.GetValue(stepTime));
                foreach (string file in parse.GetValue(timeline) ?? []) WriteTimeline(file, training.Simulation);
            }
            InferencePlan[] inference = [.. Precisions.Select(type => new InferencePlan(config, hardware, type, Contexts.Where(context => context <= config.Shape.MaxSequenceLength)))];
            if (parse.GetValue(json)) terminal.WriteJson(Described(parse.GetValue(model)!, config, hardware, training, inference));
            else Show(terminal.Screen, parse.GetValue(model)!, config, hardware, training, inference);
        });
    }

    private static Option<int?> Given(string name, string description) => new(name) { HelpName = "N", Description = description };

    private static ModelConfig ConfigOf(string model) => Presets.Shape(model)
        ?? (File.Exists(model) ? GgufModel.Describe(model).Config
        : Directory.Exists(model) ? ModelDirectory.LoadConfig(model)
        : throw new GlmException($"{model}: expected the directory or GGUF file of a model, one of {string.Join(", ", Presets.All.Keys)}, or a config.json"));

    private static void WriteTimeline(string file, PipelineSimulation simulation)
    {
        byte[] content = Path.GetExtension(file).ToLowerInvariant() switch
        {
            ".json" => ChromeTrace.Of(simulation),
            ".svg" => System.Text.Encoding.UTF8.GetBytes(Timeline(simulation).ToSvg()),
            _ => throw new UsageException($"--timeline: expected a file that ends in .svg or .json, found {file}"),
        };
        AtomicFile.Write(file, stream => stream.Write(content));
    }

    private static TimelinePlot Timeline(PipelineSimulation simulation) => new()
    {
        Title = "One optimiser step of the pipeline",
        Description = $"Each row is a stage; {simulation.Bubble:P1} of the stages' time is waiting.",
        Time = new Axis("seconds"),
        Rows = [.. Enumerable.Range(0, simulation.Stages).Select(stage => $"stage {stage}")],
        Kinds = ["forward", "backward"],
        Blocks = [.. simulation.Tasks.Select(task => new TimelineBlock(task.Stage, task.Start, task.End, task.Task.Forward ? 0 : 1, $"{task.Task.MicroBatch}"))],
    };

    private static void Show(IAnsiConsole screen, string name, ModelConfig config, Cluster cluster, TrainingPlan? training, InferencePlan[] inference)
    {
        var facts = new Grid().AddColumn(new GridColumn().PadRight(3).NoWrap()).AddColumn();
        void Fact(string label, string value) => facts.AddRow(new Markup($"[grey]{label}[/]"), new Text(value));
        Fact("model", $"{name}, {config.ParameterCount / 1e9:F2} B parameters");
        Fact("hardware", $"{cluster.Name}: {cluster.Devices} x {cluster.Device.Name}, {cluster.Device.MemoryGib:0.#} GiB, {cluster.Device.Tflops:0.###} TFLOP/s, {cluster.Device.BandwidthGbS:N0} GB/s each");
        if (training is not null)
        {
            int largest = training.Memory.Index().MaxBy(stage => stage.Item.Total).Index;
            var memory = training.Memory[largest];
            var traffic = training.Traffic;
            Fact("training", $"{training.DataParallel} {(training.DataParallel == 1 ? "replica" : "replicas")} of {training.Memory.Count} {(training.Memory.Count == 1 ? "stage" : "stages")}, {training.MicroBatches} micro-batches each, {Units.Count(training.Tokens)} tokens a step");
            Fact("memory", $"{Gib(memory.Total)} of {cluster.Device.MemoryGib:0.#} GiB on a device of stage {largest}: weights {Gib(memory.Weights)}, gradients {Gib(memory.Gradients)}, optimiser {Gib(memory.Optimizer)}, activations {Gib(memory.Activations)}{(memory.Total > cluster.Device.MemoryGib * (1L << 30) ? " - TOO MUCH" : "")}");
            Fact("sent by a device", $"{traffic.TensorParallel / 1e9:F1} GB tensor-parallel, {traffic.PipelineParallel / 1e9:F1} GB between stages, {traffic.DataParallel / 1e9:F1} GB gradients and weights, in a step");
            Fact("pipeline bubble", $"{training.IdealBubble:P1} by (p - 1) / (m + p - 1), {training.Simulation.Bubble:P1} simulated");
            Fact("step", training.IsMeasured ? $"{training.Seconds:0.##} s measured, {training.EstimatedSeconds:0.##} s estimated" : $"{training.Seconds:0.##} s estimated");
            Fact("utilisation", $"{training.Tflops.ToString(training.Tflops >= 10 ? "0.0" : "0.000")} TFLOP/s a device (spec 4.3); of the peak: model {training.ModelUtilization:P1}, hardware {training.HardwareUtilization:P1} (PaLM's accounting)");
            if (training.Run is { } run)
                Fact("run", $"{run.Steps:N0} steps, {run.Samples:N0} rows, {run.Tokens / 1e9:N2} B tokens, {run.Days:N1} days"
                    + (run.MegawattHours is { } energy ? $", {energy:N1} MWh" : "") + (run.TonsOfCarbonDioxide is { } carbon ? $", {carbon:N1} t of CO2" : ""));
        }
        screen.Write(facts);

        var table = new Table().Border(TableBorder.Rounded).Title($"inference on {cluster.DevicesPerNode} x {cluster.Device.Name}, at least")
            .AddColumn("weights").AddColumn(new TableColumn("size").RightAligned()).AddColumn(new TableColumn("context").RightAligned())
            .AddColumn(new TableColumn("a device holds").RightAligned()).AddColumn(new TableColumn("context read in").RightAligned()).AddColumn(new TableColumn("a token").RightAligned()).AddColumn(new TableColumn("tokens/s").RightAligned());
        foreach (var plan in inference)
            foreach (var point in plan.Points)
                table.AddRow(Units.Name(plan.WeightType), Gib(plan.WeightBytes), $"{point.Context:N0}", point.Fits ? Gib(point.DeviceBytes) : $"{Gib(point.DeviceBytes)}, too much",
                    point.Fits ? $"{point.PromptSeconds * 1e3:N0} ms" : "", point.Fits ? $"{point.TokenSeconds * 1e3:N1} ms" : "", point.Fits ? $"{1 / point.TokenSeconds:N1}" : "");
        screen.Write(table);
    }

    private static string Gib(double bytes) => $"{bytes / (1L << 30):N1} GiB";

    private static PlanDescription Described(string name, ModelConfig config, Cluster cluster, TrainingPlan? plan, InferencePlan[] inference) => new(
        name, config.ParameterCount, cluster.Name, cluster.Devices,
        plan is null ? null : new TrainingDescription(plan.DataParallel, plan.MicroBatches, plan.Tokens, plan.Memory, plan.Traffic, plan.IdealBubble, plan.Simulation.Bubble, plan.Seconds, plan.EstimatedSeconds,
            plan.HardwareOperations, plan.Tflops, plan.ModelUtilization, plan.HardwareUtilization, plan.Run),
        [.. inference.Select(precision => new InferenceDescription(Units.Name(precision.WeightType), precision.WeightBytes, precision.Points))]);

    /// <summary>What <c>--json</c> prints.</summary>
    private sealed record PlanDescription(string Model, long Parameters, string Cluster, int Devices, TrainingDescription? Training, InferenceDescription[] Inference);

    private sealed record TrainingDescription(
        int DataParallel, int MicroBatches, double TokensPerStep, IReadOnlyList<StageMemory> StageMemory, StepTraffic SentBytes, double IdealBubble, double SimulatedBubble, double StepSeconds,
        double EstimatedStepSeconds, double HardwareOperations, double TflopsPerDevice, [property: JsonPropertyName("mfu")] double ModelUtilization, [property: JsonPropertyName("hfu")] double HardwareUtilization, RunPlan? Run);

    private sealed record InferenceDescription(string Weights, long WeightBytes, IReadOnlyList<InferencePoint> Points);
}
