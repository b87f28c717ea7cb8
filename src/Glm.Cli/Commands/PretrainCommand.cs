using System.CommandLine;
using Glm.Tensors;
using Glm.Training;

namespace Glm.Cli.Commands;

/// <summary><c>glm pretrain</c>: trains a model with the blank-infilling objective of the paper.</summary>
internal static class PretrainCommand
{
    public static Command Create(Terminal terminal)
    {
        var file = new Option<string>("--config") { HelpName = "FILE", Description = "What is trained, on what and how (JSON, see configs/)", Required = true };
        var resume = new Option<bool>("--resume") { Description = "Go on from the newest checkpoint" };
        var tensors = new Option<int?>("--tensor-parallel") { HelpName = "N", Description = "Ranks that share the matrices of each layer, under mpirun (default: what FILE says)" };
        var stages = new Option<int?>("--pipeline-parallel") { HelpName = "N", Description = "Stages that share the layers; ranks beyond both see different data" };
        var threads = Options.Threads();
        var quiet = Options.Quiet();
        return new ExampleCommand("pretrain", "Train a model on text, with the objective of the paper", "glm pretrain --config configs/glm-7m.json", "glm pretrain --config configs/glm-7m.json --resume",
            "mpirun -n 4 ./glm pretrain --config configs/glm-7m.json --tensor-parallel 2")
        {
            file, resume, tensors, stages, threads, quiet,
        }.InRanks().Does((parse, cancellation) =>
        {
            string path = parse.GetRequiredValue(file);
            var config = TrainingConfig.Load(path);
            config = config with { TensorParallel = parse.GetValue(tensors) ?? config.TensorParallel, PipelineParallel = parse.GetValue(stages) ?? config.PipelineParallel };
            config.Validate(path);
            using var workers = new Workers(parse.GetValue(threads));
            using var trainer = new Trainer(config, workers, terminal.World);
            string output = config.Resolve(config.Output);
            if (parse.GetValue(resume)) trainer.Resume(warning => terminal.Error.WriteLine($"glm: {warning}"));
            else if (trainer.CanResume) throw new GlmException($"{output}: expected an empty folder, found checkpoints: go on with --resume, or remove them");

            TrainingView.Run(terminal, config, trainer, workers, parse.GetValue(quiet), cancellation);
            if (!trainer.Finished) throw new OperationCanceledException(cancellation);
            string model = Path.Combine(output, "model");
            trainer.Export(model);
            var state = trainer.State;
            terminal.Out.WriteLine($"{model}: {state.Step:N0} steps, {state.Tokens:N0} tokens in {Units.Duration(TimeSpan.FromSeconds(state.Seconds))}");
        });
    }
}
