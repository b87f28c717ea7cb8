using Glm.Models;
using Glm.Tensors;
using Glm.Tests;
using Glm.Tokenizers;

namespace Glm.Training.Tests;

/// <summary>Fine-tuning of all weights, of LoRA additions and of virtual tokens, on dense and quantised models: what is learned, its gradients, and what comes back from disk.</summary>
public sealed class FineTuneTests : IDisposable
{
    private static readonly string[] Colours = ["green", "old", "soft", "cat"];

    private readonly TinyRun _run = new();
    private readonly Workers _workers = new(2);
    private readonly Tokenizer _tokenizer;

    public FineTuneTests() => _tokenizer = Tokenizer.Load(_run.In("tokenizer.model"));

    public void Dispose()
    {
        _workers.Dispose();
        _run.Dispose();
    }

    public static TheoryData<string, string, string> Cases => new()
    {
        { "full", "glm-130b", "dense" }, { "full", "chatglm2", "dense" },
        { "lora", "glm-130b", "dense" }, { "lora", "glm-130b", "int8" }, { "lora", "glm-130b", "int4" }, { "lora", "glm-130b", "packed" }, { "lora", "glm-130b", "bfloat16" },
        { "lora", "chatglm2", "dense" }, { "lora", "chatglm-6b", "int8" },
        { "prefix", "glm-130b", "dense" }, { "prefix", "glm-130b", "packed" }, { "prefix", "chatglm2", "dense" }, { "prefix", "chatglm-6b", "int4" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void What_was_learned_comes_back_from_disk(string method, string architecture, string weights)
    {
        var model = Model(architecture, weights);
        var prompts = Prompts(model);
        var tuning = New(method, model);
        var tuner = new FineTuner(tuning, prompts, prompts, new FineTuneOptions { Rate = method == "prefix" ? 0.1 : 2e-2, Epochs = 10, Batch = 8 }, _workers);
        double before = tuner.Validate(), plain = Loss(model, prompts);
        if (method != "prefix") Assert.Equal(plain, before, 1e-5);
        var steps = new List<StepLog>();
        while (!tuner.Finished) steps.Add(tuner.Step());
        Assert.Equal(tuner.Steps, steps.Count);
        double after = tuner.Validate();
        Assert.InRange(after, 0, before - (method == "prefix" ? 0.2 : 0.7));
        Assert.Equal(plain, Loss(model, prompts)); // the model itself stays
        Assert.Equal(after, steps[^1].Validation![0]);

        tuning.Save(_run.In("tuned"), _run.In("tokenizer.model"));
        var loaded = method == "full" ? ModelDirectory.Load(_run.In("tuned")) : Adapter.Apply(_run.In("tuned"), model, _workers, merge: false);
        Assert.Equal(after, Loss(loaded, prompts), 1e-5);
        if (method == "lora") Assert.Equal(after, Loss(Adapter.Apply(_run.In("tuned"), model, _workers, merge: true), prompts), weights == "bfloat16" ? 0.05 : 1e-4);
    }

    [Theory]
    [InlineData("full", "glm-130b", "dense")]
    [InlineData("lora", "glm-130b", "int8")]
    [InlineData("lora", "chatglm2", "int4")]
    [InlineData("prefix", "glm-130b", "int4")]
    [InlineData("prefix", "chatglm2", "dense")]
    [InlineData("prefix", "chatglm-6b", "dense")]
    public void Gradients_are_those_of_differences(string method, string architecture, string weights)
    {
        var model = Model(architecture, weights);
        var prompts = Prompts(model).Take(3).ToList();
        var tuning = New(method, model);
        var tuner = new FineTuner(tuning, prompts, prompts, new FineTuneOptions { Rate = 1e-3, Batch = 3, MicroBatch = 2, Epochs = 3 }, _workers);
        tuner.Step();
        // The second step's gradients belong to the weights after the first.
        var masters = tuning.Weights.Masters.ToDictionary(weight => weight.Key, weight => weight.Value.ToArray());
        tuner.Step();
        foreach (var (name, values) in masters) tuning.Weights.Masters[name].CopyFrom(values);
        foreach (var (name, values) in masters)
        {
            float[] gradient = tuning.Weights.Gradient(name).ToArray();
            int index = Array.IndexOf(gradient, gradient.MaxBy(Math.Abs));
            if (Math.Abs(gradient[index]) < 1e-4) continue;
            double difference = (At(5e-3f) - At(-5e-3f)) / 1e-2;
            Assert.True(Math.Abs(gradient[index] - difference) < 2e-3 + 0.03 * Math.Abs(difference), $"{name}: gradient {gradient[index]}, difference {difference}");

            double At(float step)
            {
                float[] moved = (float[])values.Clone();
                moved[index] += step;
                tuning.Weights.Masters[name].CopyFrom(moved);
                double loss = tuner.Validate();
                tuning.Weights.Masters[name].CopyFrom(values);
                return loss;
            }
        }
    }

    [Theory]
    [InlineData("lora", "glm-130b")]
    [InlineData("lora", "chatglm2")]
    [InlineData("prefix", "chatglm-6b")]
    public void The_same_seed_gives_the_same_bits_whatever_the_threads_and_with_recomputation(string method, string architecture)
    {
        float[][] found = [.. new[] { 1, 3 }.Select(threads =>
        {
            using var workers = new Workers(threads);
            var model = Model(architecture, "dense");
            var tuning = New(method, model);
            var tuner = new FineTuner(tuning, Prompts(model), [], new FineTuneOptions { Rate = 1e-2, Recompute = threads == 3 }, workers);
            while (!tuner.Finished) tuner.Step();
            return tuning.Weights.Masters.Values.SelectMany(weight => weight.ToArray()).ToArray();
        })];
        Assert.Equal(found[0], found[1]);
    }

    [Fact]
    public void Prompts_stand_where_generation_puts_them()
    {
        var blanks = _tokenizer.Blanks;
        int[] text = _tokenizer.Encode("the cat"), answer = _tokenizer.Encode("sat");
        var blank = new PromptLayout(_tokenizer, Model("glm-130b", "dense")).Build("the cat", "sat");
        Assert.Equal([.. text, blanks.GMask!.Value, blanks.Sop, .. answer, blanks.Eop], blank.Ids);
        Assert.Equal((text.Length + 2, answer.Length + 1, new BlankPlace(text.Length + 1, text.Length, true)), (blank.Context, blank.Targets, blank.Place));
        var causal = new PromptLayout(_tokenizer, Model("chatglm2", "dense")).Build("the cat", "sat");
        Assert.Equal([.. _tokenizer.Special.Before, .. text, .. _tokenizer.Special.After, .. answer, _tokenizer.Special.End[0]], causal.Ids);
    }

    /// <summary>With real vocabularies: the context is what a chat asks for, and what is learned is what a chat reads as the answer.</summary>
    [TokenizerTheory]
    [InlineData("chatglm-6b")]
    [InlineData("chatglm2-6b")]
    [InlineData("chatglm3-6b")]
    [InlineData("glm-4-9b")]
    public void Answers_of_chat_models_are_what_a_chat_reads(string name)
    {
        var tokenizer = Tokenizer.Load(Path.Combine(TestFiles.Tokenizers!, name));
        var model = Model(name == "chatglm-6b" ? "chatglm-6b" : "chatglm2", "dense");
        var template = ChatTemplate.Of(tokenizer);
        var prompt = new PromptLayout(tokenizer, model).Build("How are you? 你好吗", "Fine, thanks: 很好");
        Assert.Equal(template.Encode([new ChatMessage(ChatRole.User, "How are you? 你好吗")]), prompt.Ids[..prompt.Context]);
        var answer = Assert.Single(template.Parse(prompt.Ids.AsSpan(prompt.Context)));
        Assert.Equal(("Fine, thanks: 很好", ""), (answer.Content, answer.Metadata));
        Assert.Contains(prompt.Ids[^1], template.StopIds);
        Assert.Equal(model.IsCausal ? default : new BlankPlace(prompt.Context - 1, prompt.Context - 2, RunsOn: true), prompt.Place);
    }

    [Fact]
    public void What_cannot_be_tuned_is_refused()
    {
        Assert.Contains("quantised", Assert.Throws<GlmException>(() => new FullTuning(Model("glm-130b", "int8"))).Message);
        Assert.Contains("virtual tokens", Assert.Throws<GlmException>(() => new PrefixTuning(Model("glm-130b", "dense"), new int[65], _workers)).Message);
        var tuning = new LoraTuning(Model("glm-130b", "dense"), 2, 1);
        Assert.Contains("expected nothing", Assert.Throws<GlmException>(() => tuning.Save(_run.In("data"), null)).Message);
    }

    private Tuning New(string method, LanguageModel model) => method switch
    {
        "full" => new FullTuning(model),
        "lora" => new LoraTuning(model, rank: 4, seed: 3),
        _ => new PrefixTuning(model, _tokenizer.Encode("old dogs run over green hills"), _workers),
    };

    /// <summary>Answers that follow from the first word of the prompt.</summary>
    private List<TunedPrompt> Prompts(LanguageModel model)
    {
        var layout = new PromptLayout(_tokenizer, model);
        return [.. Enumerable.Range(0, 24).Select(i => layout.Build($"{Colours[i % 4]} {(i % 3 == 0 ? "hills" : "rain fell on a mat")}", Colours[(i + 1) % 4] + " dogs"))];
    }

    private double Loss(LanguageModel model, List<TunedPrompt> prompts) =>
        new FineTuner(new Untuned(model), prompts, prompts, new FineTuneOptions { Rate = 1 }, _workers).Validate();

    private LanguageModel Model(string architecture, string weights)
    {
        const int vocabulary = 400, hidden = 32;
        ModelConfig config = architecture switch
        {
            "glm-130b" => new Glm130BConfig { NumLayers = 2, HiddenSize = hidden, InnerHiddenSize = 64, NumAttentionHeads = 2, VocabSize = vocabulary, MaxSequenceLength = 64 },
            "chatglm2" => new ChatGlm2Config
            {
                NumLayers = 2, HiddenSize = hidden, FfnHiddenSize = 64, KvChannels = 16, NumAttentionHeads = 2, MultiQueryAttention = true, MultiQueryGroupNum = 1,
                PaddedVocabSize = vocabulary, SeqLength = 64, AddQkvBias = true, LayernormEpsilon = 1e-5f,
            },
            _ => new ChatGlm6BConfig { NumLayers = 2, HiddenSize = hidden, InnerHiddenSize = 64, NumAttentionHeads = 2, VocabSize = vocabulary, MaxSequenceLength = 64 },
        };
        var random = new Random(4);
        var tensors = config.Parameters().ToDictionary(p => p.Name, p =>
        {
            bool norm = p.Name.Contains("norm") && p.Name.EndsWith("weight");
            return Tensor.From([.. Enumerable.Range(0, p.Shape.Aggregate(1, (a, b) => a * b)).Select(_ => (norm ? 1 : 0) + (random.NextSingle() - 0.5f) * 0.4f)], p.Shape);
        });
        var model = config.Create(name => weights == "bfloat16" && tensors[name].Shape.Length > 1 ? tensors[name].To(DType.BFloat16) : tensors[name]);
        return weights switch
        {
            "int8" => Quantization.Quantize(model, 8, _workers),
            "int4" => Quantization.Quantize(model, 4, _workers),
            "packed" => Quantization.Quantize(model, 8, _workers).Packed(_workers),
            _ => model,
        };
    }

    /// <summary>A model as it is.</summary>
    private sealed class Untuned(LanguageModel model) : Tuning
    {
        public override LanguageModel Model => model;

        public override TrainableWeights Weights { get; } = new(new Dictionary<string, Tensor>(), Precision.Float32);

        public override void Save(string path, string? tokenizer) => throw new NotSupportedException();
    }
}

/// <summary>Tests that need real tokenizer files; skipped where those are missing.</summary>
internal sealed class TokenizerTheoryAttribute : TheoryAttribute
{
    public TokenizerTheoryAttribute() => Skip = TestFiles.Tokenizers is null ? "the folder of tokenizer files is absent (set GLM_REFERENCE)" : null;
}
