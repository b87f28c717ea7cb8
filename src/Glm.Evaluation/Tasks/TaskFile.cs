using System.Security.Cryptography;

namespace Glm.Evaluation;

/// <summary>Reads task files: those of GLM-130B as they are (spec 8.1), and ours, which say besides how records become prompts.</summary>
public static class TaskFile
{
    /// <summary>Classes of the original, by the last part of their name.</summary>
    private static readonly Dictionary<string, OriginalModule> Modules = new()
    {
        ["LAMBADA"] = OriginalModule.Lambada, ["MMLU"] = OriginalModule.None, ["Pile"] = OriginalModule.Pile,
        ["CrowsPairTask"] = OriginalModule.CrowsPairs, ["StereoSetTask"] = OriginalModule.StereoSet,
    };

    /// <summary>Reads one file: a task, or several that differ in what stands for <c>$variant</c>, whose values the field <c>variants</c> lists.</summary>
    /// <exception cref="GlmException">It cannot be read, a field is unknown or impossible.</exception>
    public static IReadOnlyList<TaskDefinition> Load(string file)
    {
        var yaml = YamlSection.Load(file);
        return yaml.Texts("variants") is { } variants ? [.. variants.Select(variant => Read(file, YamlSection.Load(file, variant)))] : [Read(file, yaml)];
    }

    private static TaskDefinition Read(string file, YamlSection yaml)
    {
        var module = Module(yaml);
        var kind = yaml.Word("type", "mul", "gen", "lm", "other") switch
        {
            "mul" => TaskKind.MultipleChoice, "gen" => TaskKind.Generation, "lm" => TaskKind.LanguageModeling,
            // The class alone says what is asked.
            "other" => module switch
            {
                OriginalModule.Lambada => TaskKind.Generation, OriginalModule.Pile => TaskKind.LanguageModeling, OriginalModule.CrowsPairs or OriginalModule.StereoSet => TaskKind.MultipleChoice,
                _ => throw yaml.Fault("type", "expected a module with other that says what it asks (LAMBADA, Pile, CrowsPairTask, StereoSetTask), found none"),
            },
            _ => throw new GlmException($"{file}: type: expected mul, gen, lm or other, found none"),
        };
        bool beams = yaml.Word("sampling_strategy", "BaseStrategy", "BeamSearchStrategy") == "BeamSearchStrategy";
        int numBeams = yaml.Number("num_beams", 1, 1024) ?? 4;
        var reading = new ReadingOptions
        {
            UseTaskMask = yaml.Flag("use_task_mask"),
            UseMultitaskEncoding = yaml.Flag("use_multitask_encoding"),
            Unidirectional = yaml.Flag("unidirectional"),
            AsChat = yaml.Flag("chat"),
            MaxSequenceLength = yaml.Number("max_seq_length", 8, 1 << 24) ?? 2048,
        };
        if (reading.Unidirectional && !reading.UseTaskMask) throw yaml.Fault("unidirectional", "expected use_task_mask with it");
        var definition = new TaskDefinition
        {
            File = file,
            Version = Convert.ToHexStringLower(SHA256.HashData(System.IO.File.ReadAllBytes(file)))[..16],
            Name = Name(yaml),
            Title = yaml.Required("name"),
            Kind = kind,
            Path = RelativePath(yaml),
            Data = yaml.Text("data"),
            Groups = Groups(yaml),
            Metrics = Metrics(yaml, kind, module),
            Suite = yaml.Text("suite"),
            Module = module,
            Reading = reading,
            Generation = new GenerationOptions
            {
                NumBeams = beams ? numBeams : 1,
                LengthPenalty = yaml.Fraction("length_penalty") ?? 1,
                NoRepeatNgramSize = yaml.Number("no_repeat_ngram_size", 0, 1024) ?? 3,
                MinNewTokens = yaml.Number("min_gen_length", 0, 1 << 20) ?? 0,
                MaxNewTokens = yaml.Number("max_gen_length", 1, 1 << 20) ?? 128,
                Temperature = yaml.Fraction("temperature") ?? 0,
                TopP = yaml.Fraction("top_p") ?? 0,
                Samples = yaml.Number("samples", 1, 10000) ?? 1,
                Stop = yaml.Texts("stop") ?? [],
                Form = module == OriginalModule.Lambada ? AnswerForm.Word : AnswerForm.Text,
            },
            Extraction = yaml.Word("answer_form", "text", "line", "sentence", "best-answer", "order", "stated", "same-length") switch
            {
                "line" => AnswerExtraction.Line, "sentence" => AnswerExtraction.Sentence, "best-answer" => AnswerExtraction.BestAnswer, "order" => AnswerExtraction.Order,
                "stated" => AnswerExtraction.Stated, "same-length" => AnswerExtraction.SameLength, _ => AnswerExtraction.None,
            },
            Stride = kind == TaskKind.LanguageModeling ? yaml.Number("generation_length", 1, 1 << 20) ?? 256 : yaml.Number("generation_length", 1, 1 << 20),
            Format = yaml.Word("format", [.. DataReader.Formats]),
            Columns = yaml.Texts("columns"),
            Delimiter = yaml.Text("delimiter") is { } delimiter ? delimiter is [var single] ? single : throw yaml.Fault("delimiter", $"expected one character, found {delimiter}") : null,
            Skip = Skip(yaml),
            SplitBy = Template(yaml, "split_by"),
            SplitGroups = SplitGroups(yaml),
            Id = Template(yaml, "id"),
            Category = Template(yaml, "category"),
            Cluster = Template(yaml, "cluster"),
            Prompts = Prompts(yaml),
            Shots = yaml.Number("shots", 0, 1000) ?? 0,
            ShotPattern = yaml.Text("shot_pattern"),
            ShotBy = Template(yaml, "shot_by"),
            ShotsInOrder = yaml.Word("shot_order", "drawn", "first") == "first",
            Separator = yaml.Text("separator") ?? "\n\n",
            Seed = yaml.Number("seed", 0, int.MaxValue) ?? 1234,
        };
        // Of the original's machinery: how it batches, and what it saves. Of ours: for people who read the file.
        yaml.Ignore("micro_batch_size", "no_tokenized", "save_prediction", "deterministic", "source", "note", "variants");
        yaml.Done();
        if (definition.SplitGroups is not null && definition.SplitBy is null) throw yaml.Fault("groups", "expected split-by with it");
        if (definition.Shots > 0 && definition.Prompts.Count == 0) throw yaml.Fault("shots", "expected prompts with it");
        if (definition.Prompts.Count > 0 && kind == TaskKind.MultipleChoice && definition.Prompts.Any(prompt => prompt.Choices.Count == 0)) throw yaml.Fault("choices", "expected some, found none");
        return definition;
    }

    /// <summary>The field <c>task</c>, or what the title makes in small letters.</summary>
    private static string Name(YamlSection yaml)
    {
        string title = yaml.Required("name"), name = yaml.Text("task") ?? NameOf(title);
        return name.Split('/').All(part => part.Length > 0 && part == NameOf(part)) ? name : throw yaml.Fault("task", $"expected small letters, digits, - and _, perhaps a / between them, found {name}");
    }

    private static string NameOf(string title) =>
        string.Join('-', string.Concat(title.ToLowerInvariant().Select(letter => char.IsAsciiLetterOrDigit(letter) || letter == '_' ? letter : ' ')).Split(' ', StringSplitOptions.RemoveEmptyEntries));

    private static OriginalModule Module(YamlSection yaml)
    {
        if (yaml.Text("module") is not { } name) return OriginalModule.None;
        return Modules.TryGetValue(name[(name.LastIndexOf('.') + 1)..], out var module) ? module
            : throw yaml.Fault("module", $"expected a class that is known here ({string.Join(", ", Modules.Keys)}), found {name}");
    }

    // A path must not lead out of the folder of data that the user named.
    private static string RelativePath(YamlSection yaml)
    {
        string path = yaml.Required("path");
        bool leads = System.IO.Path.IsPathRooted(path) || path.Split('/', '\\').Contains("..");
        return leads ? throw yaml.Fault("path", $"expected a path below the folder of data, found {path}") : path;
    }

    private static List<(string, IReadOnlyList<string>)> Groups(YamlSection yaml)
    {
        if (!yaml.IsSection("file_pattern")) return [("all", yaml.Texts("file_pattern") ?? ["**/*.json*"])];
        var section = yaml.Section("file_pattern")!;
        return [.. section.Names.Select(name => (name, section.Texts(name.Replace('-', '_'))!))];
    }

    private static IReadOnlyList<string> Metrics(YamlSection yaml, TaskKind kind, OriginalModule module)
    {
        var names = yaml.Texts("metrics") ?? (module, kind) switch
        {
            (OriginalModule.Pile, _) => ["BPB"],
            (OriginalModule.CrowsPairs, _) => ["stereotype"],
            (OriginalModule.StereoSet, _) => ["LMS", "SS", "ICAT"],
            (OriginalModule.Lambada, _) => ["Accuracy"],
            (_, TaskKind.MultipleChoice) => ["Accuracy"],
            (_, TaskKind.Generation) => ["EM", "F1"],
            _ => ["PPL"],
        };
        foreach (string name in names)
            if (Metric.Find(name) is null) throw yaml.Fault("metrics", $"expected {string.Join(", ", Metric.Names)}, found {name}");
        return names;
    }

    private static List<(string, IReadOnlyList<string>)> Skip(YamlSection yaml)
    {
        if (yaml.Section("skip") is not { } section) return [];
        return [.. section.Names.Select(name => (name, section.Texts(name.Replace('-', '_'))!))];
    }

    private static Dictionary<string, string>? SplitGroups(YamlSection yaml)
    {
        if (yaml.Section("groups") is not { } section) return null;
        var groups = new Dictionary<string, string>();
        foreach (string name in section.Names)
            foreach (string value in section.Texts(name.Replace('-', '_'))!)
                if (!groups.TryAdd(value, name)) throw yaml.Fault("groups", $"expected {value} once, found it twice");
        return groups;
    }

    private static List<PromptDefinition> Prompts(YamlSection yaml)
    {
        bool several = yaml.IsList("prompts");
        if (!several && !yaml.Has("prompt"))
        {
            yaml.Ignore("prompt", "prompts", "choices", "label", "right_choice", "labels", "scores", "targets");
            return [];
        }
        var sections = several ? yaml.Sections("prompts")! : [yaml.Section("prompt")!];
        var prompts = sections.Select((section, i) => Prompt(yaml, section, several ? null : "")).ToList();
        foreach (var group in prompts.GroupBy(prompt => prompt.Name))
            if (group.Count() > 1) throw yaml.Fault("prompts", $"expected different names, found {group.Key} twice");
        return prompts;
    }

    private static PromptDefinition Prompt(YamlSection task, YamlSection yaml, string? name)
    {
        var prompt = new PromptDefinition
        {
            Name = yaml.Text("name") ?? name ?? throw yaml.Fault("name", "expected a name for each of several prompts, found none"),
            Header = Template(yaml, "header"),
            Text = Template(yaml, "text") ?? throw yaml.Fault("text", "expected a template, found none"),
            Answer = Template(yaml, "answer"),
            Choices = Templates(yaml, "choices") ?? Templates(task, "choices") ?? [],
            Label = Template(yaml, "label") ?? Template(task, "label"),
            RightChoice = Template(yaml, "right_choice") ?? Template(task, "right_choice"),
            Labels = yaml.Texts("labels") ?? task.Texts("labels"),
            Scores = Template(yaml, "scores") ?? Template(task, "scores"),
            Targets = Templates(yaml, "targets") ?? Templates(task, "targets") ?? [],
            Guess = Template(yaml, "guess"),
        };
        // Asked for in any case, so that they are known.
        task.Ignore("choices", "label", "right_choice", "labels", "scores", "targets", "prompt", "prompts");
        yaml.Done();
        return prompt;
    }

    private static Template? Template(YamlSection yaml, string name)
    {
        if (yaml.Text(name) is not { } text) return null;
        try
        {
            return new Template(text);
        }
        catch (GlmException error)
        {
            throw yaml.Fault(name, error.Message);
        }
    }

    private static IReadOnlyList<Template>? Templates(YamlSection yaml, string name)
    {
        if (yaml.Texts(name) is not { } texts) return null;
        try
        {
            return [.. texts.Select(text => new Template(text))];
        }
        catch (GlmException error)
        {
            throw yaml.Fault(name, error.Message);
        }
    }
}
